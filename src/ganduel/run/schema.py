"""What a config must look like, so that a mistyped word is caught before anything is built.

The run-wide values and the trainer's are stated here as dataclasses. A part with a `_target_` is checked against the
signature of that target: its parameters are the keys, their annotations the types, of a user's own classes as of ours.
"""

import inspect
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.utils import get_object
from omegaconf import MISSING

from ganduel.errors import UserError, nearest
from ganduel.run.retired import retired_option


@dataclass
class EMAConfig:
    half_life_kimg: float = MISSING
    ramp: float | None = MISSING
    every_n_iterations: int = MISSING


@dataclass
class ClipConfig:
    discriminator: float | None = None
    generator: float | None = None


@dataclass
class TrainerConfig:
    accelerator: str = MISSING
    devices: Any = MISSING  # a number, "auto", or a list of indices
    num_nodes: int = MISSING
    precision: str = MISSING
    max_steps: int | None = MISSING
    max_epochs: int | None = MISSING
    sync_batchnorm: bool = MISSING
    matmul_precision: str = MISSING


@dataclass
class PopulationConfig:
    seeds: Any = MISSING  # how many, or a list of them
    grid: Any = MISSING  # a list of values for each option or group that members differ in
    processes: Any = MISSING  # how many, or "auto"


@dataclass
class TrainConfig:
    seed: int = MISSING
    k: int = MISSING
    batch_size: int = MISSING
    engine: str = MISSING
    log_every: int = MISSING
    checkpoint_every: int = MISSING
    checkpoint_min_seconds: float = MISSING
    resume: str | None = MISSING
    objective: str | None = MISSING
    ema: EMAConfig | None = MISSING
    clip: ClipConfig = field(default_factory=ClipConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    population: PopulationConfig = field(default_factory=PopulationConfig)
    loss: Any = MISSING
    penalty: dict[str, Any] = field(default_factory=dict)
    penalty_g: dict[str, Any] = field(default_factory=dict)
    augment: Any = MISSING
    model: Any = MISSING
    data: Any = MISSING
    optimizer: Any = MISSING
    schedule: Any = MISSING
    callback: dict[str, Any] = field(default_factory=dict)
    metric: dict[str, Any] = field(default_factory=dict)
    tracking: Any = MISSING


def register() -> None:
    """Make the schema known to Hydra under the name that train.yaml's defaults list."""
    ConfigStore.instance().store(name="schema", node=TrainConfig)


NODES = {"ema": EMAConfig, "clip": ClipConfig, "trainer": TrainerConfig, "population": PopulationConfig}

# Keys of a run's config.yaml that are not options.
RECORDED = {"run"}

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
ENGINES = ("auto", "eager", "cuda_graph", "compile")
MATMUL_PRECISIONS = ("auto", "highest", "high", "medium")
PRECISIONS = ("32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true")

# Groups of which several can be chosen, with one of each for an example.
LISTS = {"penalty": "r1", "penalty_g": "mine", "callback": "statistics", "metric": "frechet"}
PENALTIES = ("penalty", "penalty_g")

# Parameters that the program fills in, and a config therefore does not have.
SUPPLIED = {"self", "shape", "params", "optimizer", "folder", "config"}


def check(config: Mapping[str, Any]) -> None:
    """Refuse what can't be run, in one line that names the key. The config is resolved, in plain containers."""
    check_names(config)
    check_numbers(config)
    check_engine(config)
    for key in ("loss", "augment", "data"):
        check_target(config[key], key)
    for group in ("model", "optimizer"):
        check_networks(config[group], group, required=True)
    check_networks(config["schedule"], "schedule", required=False)
    for group, example in LISTS.items():
        check_list(config[group] or {}, group, example)
    if config["tracking"] is not None:
        check_target(config["tracking"], "tracking")


def check_names(config: Mapping[str, Any]) -> None:
    """Refuse run-wide keys that nothing reads: `+name=value` on a command line adds any."""
    stated = {"": (config, TrainConfig), **{f"{key}.": (config.get(key), node) for key, node in NODES.items()}}
    for path, (values, node) in stated.items():
        known = {knob.name for knob in fields(node)}
        for name in values or ():
            if name not in known and path + name not in RECORDED:
                raise UserError(retired_option(path + name) or f"{path}{name} is not an option. {nearest(name, known)}")


def check_numbers(config: Mapping[str, Any]) -> None:
    """Refuse run-wide numbers that make no run."""
    for key, least in (("k", 1), ("batch_size", 1), ("log_every", 1), ("checkpoint_every", 1)):
        if config[key] < least:
            raise UserError(f"{key}={config[key]} must be at least {least}.")
    if not config["checkpoint_min_seconds"] >= 0:
        raise UserError(f"checkpoint_min_seconds={config['checkpoint_min_seconds']} must be at least 0.")
    trainer = config["trainer"]
    if trainer["max_steps"] is None and trainer["max_epochs"] is None:
        raise UserError("the run would never end: give trainer.max_steps or trainer.max_epochs.")
    for key in ("max_steps", "max_epochs", "num_nodes"):
        if trainer[key] is not None and trainer[key] < 1:
            raise UserError(f"trainer.{key}={trainer[key]} must be at least 1.")
    check_trainer(trainer)
    for network, clip in config["clip"].items():
        if clip is not None and not clip > 0:
            raise UserError(f"clip.{network}={clip} must be positive. Use clip.{network}=null for no limit.")


def check_trainer(trainer: Mapping[str, Any]) -> None:
    """Refuse devices that no machine has, and precisions that are none."""
    devices = trainer["devices"]
    counts = re.fullmatch(r"auto|-1|\d*[1-9]\d*|\d+(,\d+)*,?", str(devices)) and str(devices) != "0"
    indices = isinstance(devices, list) and devices and all(fits(i, int) and i >= 0 for i in devices)
    if not indices and (not isinstance(devices, int | str) or not counts):
        raise UserError(f"trainer.devices={devices} starts no process. Give a number, auto, or a list such as [0,1].")
    choices = {"accelerator": ACCELERATORS, "precision": PRECISIONS, "matmul_precision": MATMUL_PRECISIONS}
    for key, known in choices.items():
        if trainer[key] not in known:
            raise UserError(f"trainer.{key}={trainer[key]} is not known. {nearest(trainer[key], known)}")


def check_engine(config: Mapping[str, Any]) -> None:
    """Refuse an engine that does not exist."""
    engine = config["engine"]
    if engine not in ENGINES:
        raise UserError(f"engine={engine} is not known. {nearest(engine, ENGINES)}")


def check_list(parts: Any, group: str, example: str) -> None:
    """A group of which several can be chosen: each part under a name of its own."""
    if not isinstance(parts, Mapping) or "_target_" in parts:
        found = parts["_target_"] if isinstance(parts, Mapping) else parts
        raise UserError(f"{group}={found} must give each {group} a name, as {group}.{example} does.")
    for name, node in parts.items():
        if line := retired_option(f"{group}.{name}"):
            raise UserError(line)
        if isinstance(node, Mapping) and node and "_target_" not in node:
            raise UserError(
                f"{group}.{name} has options, but {group} does not have {name}. Add it, as {group}=[{name}] does, "
                f"or remove them: ~{group}.{name}."
            )
        check_target(node, f"{group}.{name}")
        every = node.get("every", 1)
        if group in PENALTIES and isinstance(every, int) and every < 1:
            raise UserError(f"{group}.{name}.every={every} must be at least 1.")


def check_networks(node: Any, path: str, required: bool) -> None:
    """A group that says one thing of each network."""
    names = {"discriminator", "generator"}
    if not isinstance(node, Mapping):
        raise UserError(f"{path}={node} must have {path}.discriminator and {path}.generator.")
    for name in node:
        if name not in names:
            raise UserError(f"{path}.{name} is not known. {nearest(name, names)}")
    for name in sorted(names):
        if node.get(name) is not None:
            check_target(node[name], f"{path}.{name}")
        elif required:
            raise UserError(f"{path}.{name} is missing: both networks need one.")


def check_target(node: Any, path: str) -> None:
    """A part's keys and types against the signature of its target."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise UserError(f"{path} must have a _target_, the class to build; found {node!r}.")
    try:
        target = get_object(node["_target_"])
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}._target_={node['_target_']} cannot be imported: {reason}.") from error
    if not callable(target):
        raise UserError(f"{path}._target_={node['_target_']} is no class, but {target!r}.")
    parameters = inspect.signature(target).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    knobs = {name for name in parameters if name not in SUPPLIED}
    hints = annotations(target)
    for name, value in node.items():
        if name.startswith("_"):
            continue
        if name not in knobs:
            advice = nearest(name, knobs) if knobs else "It takes no options."
            raise UserError(retired_option(f"{path}.{name}") or f"{path}.{name} is not known. {advice}")
        if name in hints and not fits(value, hints[name]):
            raise UserError(f"{path}.{name}={value!r} is not {describe(hints[name])}.")


def annotations(target: Any) -> dict[str, Any]:
    """The types of the target's parameters, as far as they can be evaluated."""
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value from a config can stand for a parameter of this type. Unknown types are not judged."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        members = arguments if isinstance(value, Mapping) else alternatives(arguments)
        return any(fits(value, member) for member in members)
    if origin is Literal:
        return value in arguments
    if hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if origin in (list, tuple, Sequence) or hint in (list, tuple):
        inner = [argument for argument in arguments if argument is not Ellipsis]
        if not isinstance(value, list):
            return False
        if origin is tuple and Ellipsis not in arguments and len(value) != len(inner):
            return False
        kinds = inner if len(inner) > 1 else inner * len(value)
        return all(fits(item, kind) for item, kind in zip(value, kinds, strict=False))
    return value is not None or not inspect.isclass(hint)


def alternatives(members: tuple[Any, ...]) -> Sequence[Any]:
    """The members of a union that a plain value can mean: `float | Tensor` is a number, the rest is for callers."""
    plain = [hint for hint in members if not inspect.isclass(hint) or hint in (bool, int, float, str, list, tuple)]
    return [hint for hint in members if hint in plain or hint is type(None)] if plain else members


def describe(hint: Any) -> str:
    """A type in words for an error's sake."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(member) for member in alternatives(arguments))
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (list, tuple, Sequence) and arguments:
        return f"a list of {describe(arguments[0]).removeprefix('a ').removeprefix('an ')}s, such as [256,512]"
    if hint is type(None):
        return "null"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(hint, str(hint))
