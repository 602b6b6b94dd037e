"""Before a run begins: its config is validated and written to its folder, or read from there to resume it."""

import logging
import math
import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from ganduel import checkpoint as checkpoints
from ganduel.build import build
from ganduel.data.base import Data
from ganduel.errors import UserError
from ganduel.run import schema
from ganduel.run.resume import (
    Remaining,
    is_overridable,
    refuse_older_checkpoint,
    remaining_work,
    resumed_config,
)
from ganduel.tracking.base import is_first_rank
from ganduel.tracking.provenance import provenance
from ganduel.tracking.run_logger import create_config, write_config
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


Prepared = tuple[dict[str, Any], Path | None, dict[str, Any] | None]


def prepare_run(config: DictConfig, folder: Path) -> Prepared:
    """A run's config, the checkpoint to resume from, and its summary if nothing remains to be done."""
    job = HydraConfig.get()
    overrides, choices = list(job.overrides.task), dict(job.runtime.choices)
    refuse_repetitions(overrides)
    if config.resume is not None:
        return *resume(config, folder, overrides), None
    values = validate(config, choices, overrides)
    if job.mode == RunMode.MULTIRUN:
        return prepare_or_resume(config, folder, values, choices, overrides)
    return start(values, folder, choices, overrides), None, None


def prepare_or_resume(
    config: DictConfig, folder: Path, values: dict[str, Any], choices: Mapping[str, Any], overrides: Sequence[str]
) -> Prepared:
    """As `prepare_run`, for a sweep or a population, which may already have some of its runs.

    Those that have ended are left as they are, the others are resumed.
    """
    remaining, summary = remaining_work(folder, values)
    if remaining is Remaining.NOTHING:
        log.info("%s: %s already", folder, summary["status"])
        return values, None, summary
    if remaining is Remaining.REST:
        log.info("%s: resumed", folder)
        return *resume(config, folder, list(filter(is_overridable, overrides)), may_be_done=True), None
    return start(values, folder, choices, overrides), None, None


def validate(config: DictConfig, choices: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The resolved and validated config of a new run, with max_steps as `iterations` has it."""
    for group in ("loss", "augment", "model", "data", "optimizer", "schedule", "trainer"):
        if choices.get(group) is None:
            raise UserError(f"{group} takes one choice, as {group}=NAME does. See --help for the names.")
    values = to_container(config)
    schema.check_numbers(values)
    if values["trainer"]["max_epochs"] is not None:
        OmegaConf.update(config, "trainer.max_steps", iterations(values, overrides))
        values = to_container(config)
    schema.check(values)
    return values


def refuse_repetitions(overrides: Sequence[str]) -> None:
    """Refuse a list of choices that names one of them twice: Hydra would take it once."""
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        names = override.value() if override.key_or_group in schema.LISTS else None
        counts = Counter(map(str, names if isinstance(names, list) else ()))
        if counts and max(counts.values()) > 1:
            raise UserError(f"{override.input_line} names {counts.most_common(1)[0][0]} twice.")


def start(values: dict[str, Any], folder: Path, choices: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Write the config of a new run to its folder, with its overrides and provenance; returns it."""
    groups = {group: choice for group, choice in choices.items() if not group.startswith("hydra/")}
    for group in schema.PENALTIES:  # Hydra has no choice of a list
        groups[group] = "+".join(values[group]) or "none"
    values["run"] = {"id": uuid.uuid4().hex[:8], "overrides": list(overrides), "choices": groups, **provenance()}
    if is_first_rank():
        create_config(folder, values)
    return values


def resume(
    config: DictConfig, folder: Path, overrides: Sequence[str], may_be_done: bool = False
) -> tuple[dict[str, Any], Path]:
    """The config of the run in the folder, with overrides that may change it, and its latest checkpoint.

    With `may_be_done` it may have done all its iterations, so that only its end is missing.
    """
    values = resumed_config(folder, config, overrides)
    if is_given("trainer.max_epochs", overrides):
        values["trainer"]["max_steps"] = iterations(values, overrides)
    elif is_given("trainer.max_steps", overrides):
        values["trainer"]["max_epochs"] = None
    schema.check(values)
    path = checkpoints.latest(folder)
    checkpoint = checkpoints.read(path)
    refuse_older_checkpoint(folder, checkpoint)
    if without_secrets(checkpoint["ganduel"]["config"]["model"]) != without_secrets(values["model"]):
        raise UserError(f"{path} holds another model than {folder / 'config.yaml'} describes: it is of another run.")
    done, until = checkpoint["global_step"], values["trainer"]["max_steps"]
    if done >= until and not may_be_done:
        raise UserError(f"the run is at iteration {done} of {until}. Give a larger trainer.max_steps to extend it.")
    values["run"].setdefault("resumed", []).append({"iteration": done, "overrides": list(overrides), **provenance()})
    if is_first_rank():
        write_config(folder, values)
    return values, path


def to_container(config: DictConfig) -> dict[str, Any]:
    """The config in plain containers, interpolations resolved."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))


def iterations(values: Mapping[str, Any], overrides: Sequence[str]) -> int:
    """The number of iterations in max_epochs passes over the data; or max_steps if it is given too, and smaller.

    One that nobody has typed is the default's or an experiment's, which max_epochs replaces.
    """
    schema.check_target(values["data"], "data")
    data: Data = build(values["data"])
    trainer = values["trainer"]
    if data.size is None:
        raise UserError("this data set never ends, so that trainer.max_epochs means nothing. Use trainer.max_steps.")
    minibatches = trainer["max_epochs"] * max(1, data.size // values["batch_size"])
    epochs = math.ceil(minibatches / values["k"])
    return min(epochs, trainer["max_steps"]) if is_given("trainer.max_steps", overrides) else epochs


def is_given(key: str, overrides: Sequence[str]) -> bool:
    """Whether the command line gives the option a value."""
    return any(re.match(rf"\+*{re.escape(key)}=(?!null$)", override) for override in overrides)
