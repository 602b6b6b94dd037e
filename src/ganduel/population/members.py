"""Which runs a population is of: the command line's own, once for each seed and each choice of values in `grid`.

    population.seeds=3 population.grid='{loss: [saturating, nonsaturating]}'      six members

    loss=saturating,seed=0  loss=saturating,seed=1  …  loss=nonsaturating,seed=2     their names, in this order

Each has the config that `python train.py … loss=saturating seed=0` has.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from ganduel.errors import UserError
from ganduel.run.folder import one_folder
from ganduel.run.prepare import compose, to_container, validate
from ganduel.run.resume import config_diff
from ganduel.run.schema import LISTS

# What shapes the iteration that members make together.
SHARED = ("model", "condition", "k", "batch_size", "pack", "unroll", "trainer", "engine", "objective", "resume")


@dataclass(frozen=True)
class Requested:
    """A run that is to be a member.

    Attributes:
        name: what it differs in from others, and the name of its folder.
        config: as it is composed.
        values: the same, resolved and checked.
        choices: the choice of each group.
        overrides: the words that a command line would have for it.
    """

    name: str
    config: DictConfig
    values: dict[str, Any]
    choices: dict[str, Any]
    overrides: list[str]


def number_of_members(config: DictConfig) -> int:
    """How many the command line asks for."""
    return len(seeds(config)) * prod(len(values) for values in grid(config).values())


def first_member(config: DictConfig) -> Requested:
    """One of them, before all are looked at."""
    choices = grid(config)
    return members_of([values[0] for values in choices.values()], choices, seeds(config)[:1])[0]


def members(config: DictConfig) -> list[Requested]:
    """All of them.

    Raises:
        UserError: one is asked for twice, or they cannot be stacked.
    """
    numbers, choices = seeds(config), grid(config)
    requested = [run for values in product(*choices.values()) for run in members_of(values, choices, numbers)]
    names = Counter(run.name for run in requested)
    if len(names) < len(requested):
        raise UserError(f"the population has {names.most_common(1)[0][0]} twice. Give each value once.")
    for run in requested:
        shared = [key for key in config_diff(requested[0].values, run.values) if key.partition(".")[0] in SHARED]
        if shared:
            name = shared[0].removesuffix("._target_")  # a choice of a group, as it is typed
            raise UserError(
                f"population.grid cannot have {name}: members make their iterations together. "
                f"Sweep over it: -m {name}=… with population.seeds=…."
            )
    return requested


def members_of(combination: Sequence[Any], choices: Mapping[str, Any], numbers: Sequence[int]) -> list[Requested]:
    """The members of one combination of values, one for each seed."""
    varied = {key: f"{key}={written(value)}" for key, value in zip(choices, combination, strict=True)}
    job = HydraConfig.get()
    words = [word for word in job.overrides.task if not replaced(word, {*varied, "seed"})]
    common, groups = compose(job.job.config_name, [*words, *varied.values()])
    common.trainer.devices = common.trainer.num_nodes = 1
    leave_out_options(common, choices)
    common.population.update(seeds=None, grid=None, processes="auto")  # an experiment may have set them
    validate(common, groups, words)
    requested = []
    for seed in numbers:
        config = deepcopy(common)
        config.seed = seed
        differing = [*varied.values(), f"seed={seed}"]
        overrides = [*words, *differing]
        requested.append(Requested(one_folder(",".join(differing)), config, to_container(config), groups, overrides))
    return requested


def leave_out_options(config: DictConfig, choices: Mapping[str, Any]) -> None:
    """Remove an experiment's options of penalties, or others of a list, that are not this member's but of others."""
    for group in LISTS.keys() & choices:
        for name in [name for name, node in config[group].items() if "_target_" not in node]:
            with open_dict(config):
                del config[group][name]


def config_without_seed(values: Mapping[str, Any]) -> str:
    """Equal for two runs that differ in the seed alone."""
    return json.dumps({key: value for key, value in values.items() if key not in ("seed", "run")}, sort_keys=True)


def replaced(word: str, keys: set[str]) -> bool:
    """Whether a word of the command line is about the population, or about what its members have of their own."""
    key = OverridesParser.create().parse_overrides([word])[0].key_or_group
    return key in keys or key.partition(".")[0] == "population"


def seeds(config: DictConfig) -> list[int]:
    """The seeds of the members that differ in nothing else."""
    wanted = config.population.seeds
    if wanted is None:
        return [config.seed]
    if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted >= 1:
        return list(range(config.seed, config.seed + wanted))
    numbers = OmegaConf.to_container(wanted) if OmegaConf.is_list(wanted) else []
    if isinstance(numbers, list) and numbers and all(type(number) is int for number in numbers):
        return numbers
    raise UserError(f"population.seeds={wanted} is neither a number of seeds, such as 32, nor a list, such as [0,1,5].")


def grid(config: DictConfig) -> dict[str, list[Any]]:
    """The values of each option or group that members differ in."""
    wanted = config.population.grid
    choices = OmegaConf.to_container(wanted) if OmegaConf.is_dict(wanted) else {} if wanted is None else None
    if not isinstance(choices, dict) or not all(isinstance(values, list) and values for values in choices.values()):
        raise UserError(
            f"population.grid={wanted} must give each option its values: "
            "population.grid='{loss: [saturating, nonsaturating], optimizer.generator.lr: [1e-4, 1e-3]}'."
        )
    for key in map(str, choices):
        if key == "seed":
            raise UserError("population.grid has no seed: population.seeds=[0,1,5] takes any.")
        if key.partition(".")[0] in ("hydra", "population"):
            raise UserError(f"population.grid={{{key}: …}}: that is not of a member, but of all. Give it to the whole.")
    return {str(key): values for key, values in choices.items()}


def written(value: Any) -> str:
    """A value as a word of the command line has it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = str(value)
    return text if re.fullmatch(r"[\w.+/-]+", text) else "'" + text.replace("'", r"\'") + "'"
