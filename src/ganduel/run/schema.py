"""The schema of a config: mistyped names and wrong types are found before anything is built.

Run-wide values and those of the trainer have dataclasses here. A part with a `_target_` is checked against the
signature of the target, a user's class or ours: the parameters are the keys, their annotations the types.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.utils import get_object
from omegaconf import MISSING

from ganduel.errors import UserError, nearest
from ganduel.run.retired import retired_option
from ganduel.run.type_check import describe, fits, parameter_types


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
    seeds: Any = MISSING  # a number of seeds, or a list of them
    grid: Any = MISSING  # a list of values per option or group that members differ in
    processes: Any = MISSING  # a number, or "auto"


@dataclass
class TrainConfig:
    seed: int = MISSING
    k: int = MISSING
    batch_size: int = MISSING
    pack: int = MISSING
    unroll: int = MISSING
    engine: str = MISSING
    log_every: int = MISSING
    checkpoint_every: int = MISSING
    checkpoint_min_seconds: float = MISSING
    resume: str | None = MISSING
    trust: bool = MISSING
    objective: str | None = MISSING
    ema: EMAConfig | None = MISSING
    clip: ClipConfig = field(default_factory=ClipConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    population: PopulationConfig = field(default_factory=PopulationConfig)
    loss: Any = MISSING
    penalty: dict[str, Any] = field(default_factory=dict)
    penalty_g: dict[str, Any] = field(default_factory=dict)
    augment: Any = MISSING
    condition: Any = MISSING
    model: Any = MISSING
    data: Any = MISSING
    optimizer: Any = MISSING
    schedule: Any = MISSING
    callback: dict[str, Any] = field(default_factory=dict)
    metric: dict[str, Any] = field(default_factory=dict)
    tracking: dict[str, Any] | None = field(default_factory=dict)  # by name; a user's own logger may have none


def register() -> None:
    """Register the schema with Hydra, under its name in the defaults of train.yaml."""
    ConfigStore.instance().store(name="schema", node=TrainConfig)


NODES = {"ema": EMAConfig, "clip": ClipConfig, "trainer": TrainerConfig, "population": PopulationConfig}

LEAST = {"k": 1, "batch_size": 1, "pack": 1, "unroll": 0, "log_every": 1, "checkpoint_every": 1}

# Keys of a run's config.yaml that are not options.
RECORDED = {"run"}

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
ENGINES = ("auto", "eager", "cuda_graph", "compile")
MATMUL_PRECISIONS = ("auto", "highest", "high", "medium")
PRECISIONS = ("32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true")

# Groups of which several can be chosen, with one of each for an example.
LISTS = {"penalty": "r1", "penalty_g": "mine", "callback": "statistics", "metric": "frechet", "tracking": "wandb"}
PENALTIES = ("penalty", "penalty_g")

# Parameters that the program supplies, so that a config does not have them.
SUPPLIED = {"self", "shape", "params", "optimizer", "folder", "config"}
SUPPLIED_TO_NETWORKS = SUPPLIED | {"classes"}


def check(config: Mapping[str, Any]) -> None:
    """Refuse what cannot be run, in one line that names the key. The config is resolved, in plain containers."""
    check_names(config)
    check_numbers(config)
    check_engine(config)
    for key in ("loss", "augment", "condition", "data"):
        if key in config or key != "condition":  # of runs of older versions
            check_target(config[key], key)
    for group in ("model", "optimizer"):
        check_networks(config[group], group, required=True)
    check_networks(config["schedule"], "schedule", required=False)
    for group, example in LISTS.items():
        if group == "tracking" and stands_alone(config[group]):
            check_target(config[group], group)
        else:
            check_list(config[group] or {}, group, example)


def check_names(config: Mapping[str, Any]) -> None:
    """Refuse run-wide keys that nothing reads: `+name=value` on a command line can add any."""
    nodes = {"": (config, TrainConfig), **{f"{key}.": (config.get(key), node) for key, node in NODES.items()}}
    for path, (values, node) in nodes.items():
        known = {knob.name for knob in fields(node)}
        for name in values or ():
            if name not in known and path + name not in RECORDED:
                raise UserError(retired_option(path + name) or f"{path}{name} is not an option. {nearest(name, known)}")


def check_numbers(config: Mapping[str, Any]) -> None:
    """Refuse run-wide numbers out of range."""
    for key, least in LEAST.items():
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
    """Refuse invalid devices, accelerators and precisions."""
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


def stands_alone(node: Any) -> bool:
    """Whether a tracker has its group to itself, without a name, as a user's own may; with others each has one."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        return False
    return not any(isinstance(value, Mapping) and "_target_" in value for value in node.values())


def check_list(parts: Any, group: str, example: str) -> None:
    """Check a group of which several can be chosen: each part has a name."""
    if not isinstance(parts, Mapping) or "_target_" in parts:
        unnamed = parts["_target_"] if isinstance(parts, Mapping) else parts
        raise UserError(f"{group}={unnamed} must give each {group} a name, as {group}.{example} does.")
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
    """Check a group with a part for each network."""
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
    """Check a part's keys and types against the signature of its target."""
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
    if getattr(getattr(target, "__init__", None), "__qualname__", "") == "Module.__init__":
        parameters = {}  # torch's takes any keyword, and refuses them all
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    knobs = parameters.keys() - (SUPPLIED_TO_NETWORKS if path.startswith("model.") else SUPPLIED)
    hints = parameter_types(target)
    for name, value in node.items():
        if name.startswith("_"):
            continue
        if name not in knobs:
            advice = nearest(name, knobs) if knobs else "It takes no options."
            raise UserError(retired_option(f"{path}.{name}") or f"{path}.{name} is not known. {advice}")
        if name in hints and not fits(value, hints[name]):
            raise UserError(f"{path}.{name}={value!r} is not {describe(hints[name])}.")
