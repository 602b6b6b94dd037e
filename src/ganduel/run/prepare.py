"""Before a run begins: its config is validated, or read from its folder to resume it. Nothing is written yet."""

import logging
import math
import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from ganduel import checkpoint as checkpoints
from ganduel.data.base import Data
from ganduel.errors import UserError, typed
from ganduel.factory.data import build_data
from ganduel.run import schema
from ganduel.run.app import read_summary
from ganduel.run.resume import (
    Remaining,
    config_diff,
    has_progress,
    is_overridable,
    refuse_extension,
    refuse_older_checkpoint,
    remaining_work,
    resumed_config,
)
from ganduel.tracking.files import CONFIG, read_config
from ganduel.tracking.provenance import provenance
from ganduel.tracking.secrets import without_secrets

log = logging.getLogger("ganduel")


def compose(name: str | None, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, Any]]:
    """The config of that name with the overrides of a command line, and the choice of each group."""
    refuse_repetitions(overrides)
    config = hydra.compose(name, list(overrides), return_hydra_config=True)
    choices = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return config, choices


class Prepared(NamedTuple):
    """What a run begins with.

    Attributes:
        values: its resolved config.
        checkpoint: where to go on from; None for a new run.
        summary: how it has ended; None if anything remains to be done.
        data: its data, if they have been read to count the iterations of an epoch.
    """

    values: dict[str, Any]
    checkpoint: Path | None = None
    summary: dict[str, Any] | None = None
    data: Data | None = None


def prepare_run(config: DictConfig, folder: Path) -> Prepared:
    """What the run of a command line begins with."""
    job = HydraConfig.get()
    overrides, choices = list(job.overrides.task), dict(job.runtime.choices)
    refuse_repetitions(overrides)
    if config.resume is not None:
        return resume(config, folder, overrides)
    values, data = validate(config, choices, overrides)
    if job.mode == RunMode.MULTIRUN:
        return prepare_or_resume(config, folder, values, choices, overrides)._replace(data=data)
    return Prepared(start(values, folder, choices, overrides, followers(config, "trainer.max_steps")), data=data)


def prepare_or_resume(
    config: DictConfig, folder: Path, values: dict[str, Any], choices: Mapping[str, Any], overrides: Sequence[str]
) -> Prepared:
    """As `prepare_run`, for a sweep or a population, which may already have some of its runs.

    Those that have ended are left as they are, the others are resumed.
    """
    remaining, summary = remaining_work(folder, values)
    if remaining is Remaining.NOTHING:
        log.info("%s: %s already", folder, summary["status"])
        return Prepared(values, summary=summary)
    if remaining is Remaining.REST:
        log.info("%s: resumed", folder)
        return resume(config, folder, list(filter(is_overridable, overrides)))
    return Prepared(start(values, folder, choices, overrides, followers(config, "trainer.max_steps")))


def validate(
    config: DictConfig, choices: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[dict[str, Any], Data | None]:
    """The resolved and validated config of a new run, with max_steps as `iterations` has it; and the data for that."""
    for group in ("loss", "augment", "condition", "model", "data", "optimizer", "schedule", "trainer"):
        if choices.get(group) is None:
            raise UserError(f"{group} takes one choice, as {group}=NAME does. See --help for the names.")
    values, data = to_container(config), None
    schema.check_numbers(values)
    if values["trainer"]["max_epochs"] is not None:
        data = checked_data(values)
        OmegaConf.update(config, "trainer.max_steps", iterations(values, data, overrides))
        values = to_container(config)
    schema.check(values)
    return values, data


def refuse_repetitions(overrides: Sequence[str]) -> None:
    """Refuse a list of choices that names one of them twice: Hydra would take it once."""
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        names = override.value() if override.key_or_group in schema.LISTS else None
        counts = Counter(map(str, names if isinstance(names, list) else ()))
        if counts and max(counts.values()) > 1:
            raise UserError(f"{override.input_line} names {counts.most_common(1)[0][0]} twice.")


def start(
    values: dict[str, Any],
    folder: Path,
    choices: Mapping[str, Any],
    overrides: Sequence[str],
    follow_max_steps: Sequence[str] = (),
) -> dict[str, Any]:
    """The config of a new run in the folder, with its overrides and provenance; two runs never share a folder."""
    if (folder / CONFIG).exists() and has_progress(folder):
        advice = f"Go on with it by {typed('resume', folder)}, or choose another folder."
        raise UserError(f"{folder} holds a run already. {advice}")
    groups = {group: choice for group, choice in choices.items() if not group.startswith("hydra/")}
    for group in schema.PENALTIES:  # Hydra has no choice of a list
        groups[group] = "+".join(values[group]) or "none"
    values["run"] = {
        "id": uuid.uuid4().hex[:8],
        "overrides": list(overrides),
        "choices": groups,
        "follow_max_steps": list(follow_max_steps),
        **provenance(),
    }
    return values


def followers(config: DictConfig, key: str) -> list[str]:
    """The keys whose values follow from that of a number."""
    before, number = to_container(config), OmegaConf.select(config, key)
    OmegaConf.update(config, key, 2 * number)
    after = to_container(config)
    OmegaConf.update(config, key, number)
    return [other for other in config_diff(before, after) if other != key]


def resume(config: DictConfig, folder: Path, overrides: Sequence[str]) -> Prepared:
    """The config of the run in the folder, with overrides that may change it, and its latest checkpoint.

    A run that was killed before its first checkpoint begins anew; of one that has done all its iterations, the end may
    be missing.
    """
    values, data = resumed_config(folder, config, overrides), None
    if is_given("trainer.max_epochs", overrides):
        data = checked_data(values)
        values["trainer"]["max_steps"] = iterations(values, data, overrides)
    elif is_given("trainer.max_steps", overrides):
        values["trainer"]["max_epochs"] = None
    refuse_extension(folder, read_config(folder), values["trainer"]["max_steps"])
    schema.check(values)
    if not has_progress(folder):
        log.info("%s has no checkpoint yet: it begins anew", folder)
        return Prepared(values, data=data)
    path = checkpoints.latest(folder)
    checkpoint = checkpoints.read(path)
    refuse_older_checkpoint(folder, checkpoint)
    if without_secrets(checkpoint["ganduel"]["config"]["model"]) != without_secrets(values["model"]):
        raise UserError(f"{path} holds another model than {folder / 'config.yaml'} describes: it is of another run.")
    done, until = checkpoint["global_step"], values["trainer"]["max_steps"]
    if done > until or (done == until and read_summary(folder).get("status") == "finished"):
        raise UserError(f"the run is at iteration {done} of {until}. Give a larger trainer.max_steps to extend it.")
    values["run"].setdefault("resumed", []).append({"iteration": done, "overrides": list(overrides), **provenance()})
    return Prepared(values, path, data=data)


def to_container(config: DictConfig) -> dict[str, Any]:
    """The config in plain containers, interpolations resolved."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))


def checked_data(values: Mapping[str, Any]) -> Data:
    """The data of a config of which nothing has been checked yet."""
    for key in {"data", "condition"} & values.keys():  # a run of an older version has no condition
        schema.check_target(values[key], key)
    return build_data(values)


def iterations(values: Mapping[str, Any], data: Data, overrides: Sequence[str]) -> int:
    """The number of iterations in max_epochs passes over the data; or max_steps if it is given too, and smaller.

    One that nobody has typed is the default's or an experiment's, which max_epochs replaces.
    """
    trainer = values["trainer"]
    if data.size is None:
        raise UserError("this data set never ends, so that trainer.max_epochs means nothing. Use trainer.max_steps.")
    minibatches = trainer["max_epochs"] * max(1, data.size // values["batch_size"])
    epochs = math.ceil(minibatches / values["k"])
    return min(epochs, trainer["max_steps"]) if is_given("trainer.max_steps", overrides) else epochs


def is_given(key: str, overrides: Sequence[str]) -> bool:
    """Whether the command line gives the option a value."""
    return any(re.match(rf"\+*{re.escape(key)}=(?!null$)", override) for override in overrides)
