"""Resuming a run: with its own config, and only such overrides as do not contradict what it has computed so far.

A sweep into a folder that already has some of its runs resumes those that have not ended, by the same rule.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from ganduel import checkpoint as checkpoints
from ganduel.errors import UserError, program
from ganduel.factory.data import build_data, check_data, moved, recorded_data
from ganduel.run.app import read_summary
from ganduel.run.retired import updated
from ganduel.tracking.files import CONFIG, read_config
from ganduel.tracking.run_name import HARDWARE_KEYS, IGNORED_IN_COMPARISON
from ganduel.tracking.secrets import with_secrets, without_secrets
from ganduel.trust import check_stored, select

# Where and how a run is computed and when it ends may change; what it computes may not.
OVERRIDABLE = {
    *HARDWARE_KEYS, "trainer.max_steps", "trainer.max_epochs", "population.processes", "objective", "resume", "trust"
}  # fmt: skip
DATA_FOLDER = "data.dir"  # may change too, if the data there are the same: the run keeps the name that it began with


def resumed_config(run: Path, config: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """The config of the run in the folder, with overridable overrides applied; the others must agree with it.

    Args:
        run: the run's folder.
        config: what the command line composes to.
        overrides: those of the command line.
    """
    if not run.is_dir():
        raise UserError(f"resume={run} is not a folder. Give the folder of a run, such as runs/2026-01-31/12-00-00-….")
    saved = read_config(run)
    refuse_older_config(run, saved)
    saved = updated(saved)
    composed = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    check_stored(without_words(saved), run, "trust=true", trusted=config.trust, named=composed)
    saved = with_secrets(saved, composed, run)
    may_differ = {*OVERRIDABLE, DATA_FOLDER, *saved["run"].get("follow_max_steps", ())}
    contradictions, folder = [], None
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if key in ("resume", "trust"):
            continue
        if key in OVERRIDABLE:
            update(saved, key, select(composed, key))
        elif key == DATA_FOLDER and "dir" in saved["data"] and select(composed, key) is not None:
            folder = select(composed, key)
        elif key == "experiment":
            if override.value() != saved["run"]["choices"].get("experiment"):
                contradictions.append(str(override.input_line))
        elif set(config_diff(select(saved, key), select(composed, key), key)) - (may_differ - {key}):
            contradictions.append(f"{override.input_line} (the run has {shown(saved, key)})")
    if contradictions:
        raise UserError(f"resume={run} keeps the run's own config, which contradicts {', '.join(contradictions)}.")
    return saved if folder is None else moved(saved, folder)


def without_words(saved: Mapping[str, Any]) -> dict[str, Any]:
    """The config without the words of command lines, which stay text: they may have interpolations."""
    return {**saved, "run": {key: value for key, value in saved["run"].items() if key not in ("overrides", "resumed")}}


def update(config: dict[str, Any], path: str, value: Any) -> None:
    """Set the value of a dotted key."""
    *groups, name = path.split(".")
    for group in groups:
        config = config.setdefault(group, {})
    config[name] = value


def shown(saved: Mapping[str, Any], key: str) -> Any:
    """A value of the run's config, for an error message: the choice of a group, the class of a part."""
    value = select(saved, key)
    if isinstance(value, dict):
        return saved["run"]["choices"].get(key) or value.get("_target_", ", ".join(value)).rpartition(".")[2] or "none"
    return value


def refuse_older_config(run: Path, values: Mapping[str, Any]) -> None:
    """Refuse a config.yaml whose keys are those of an earlier version."""
    if "engine" not in values or "replay" in (values.get("trainer") or {}):
        raise UserError(older_version(run))


def refuse_older_checkpoint(run: Path, checkpoint: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that this version can read, but not train on from."""
    if checkpoint["ganduel"]["format"] < checkpoints.FORMAT:
        raise UserError(older_version(run))


def refuse_extension(run: Path, saved: Mapping[str, Any], max_steps: int) -> None:
    """Refuse to go on beyond the end for which schedules and the like were made: all rates so far led to that end."""
    keys, end = saved["run"].get("follow_max_steps"), saved["trainer"]["max_steps"]
    if keys and max_steps > end:
        words = [word for word in saved["run"]["overrides"] if not word.lstrip("+").startswith("trainer.max_")]
        command = f"{program()} {shlex.join([*words, f'trainer.max_steps={max_steps}'])}"
        raise UserError(
            f"resume={run} ends at iteration {end}: {' and '.join(keys)} follow from trainer.max_steps, so that a "
            f"longer run differs from its first iteration on. Begin it anew: {command}"
        )


def older_version(run: Path) -> str:
    return (
        f"{run} was begun by an older version of ganduel: this version can compare, evaluate and sample it, but not "
        "resume it. Start it anew, in another folder."
    )


def has_progress(run: Path) -> bool:
    """Whether a run has anything to go on from or to lose; not so if it was killed before its first checkpoint."""
    return checkpoints.has_checkpoint(run) or read_summary(run).get("iteration", 0) > 0


class Remaining(Enum):
    """How much of a run remains to be done."""

    ALL, REST, NOTHING = range(3)


def remaining_work(run: Path, values: Mapping[str, Any]) -> tuple[Remaining, dict[str, Any]]:
    """How much of a sweep's run remains, as its folder may hold it already; and the summary if there is one.

    Nothing remains of a run that has done all its iterations, or of one that diverged, as it would diverge again.

    Args:
        run: the run's folder.
        values: the resolved config that the sweep asks for, with which the run's own must agree.
    """
    if not (run / CONFIG).exists() or not has_progress(run):
        return Remaining.ALL, {}
    saved = read_config(run)
    refuse_older_config(run, saved)
    keys = config_diff(without_secrets(saved), without_secrets(values))
    differing = [k for k in keys if k not in OVERRIDABLE and k.partition(".")[0] not in IGNORED_IN_COMPARISON]
    if DATA_FOLDER in differing and "checksum" in recorded_data(saved) and values["data"]["dir"] is not None:
        check_data(moved(saved, values["data"]["dir"]), build_data(values), str(run))
        differing.remove(DATA_FOLDER)
    if differing:
        raise UserError(
            f"{run} holds a run with other values of {', '.join(differing[:3])}. Give this sweep a folder of its own: "
            "hydra.sweep.dir=FOLDER."
        )
    if checkpoints.has_checkpoint(run):
        refuse_older_checkpoint(run, checkpoints.read(checkpoints.latest(run)))
    summary = read_summary(run)
    finished = summary.get("status") == "finished" and summary.get("iteration", 0) >= values["trainer"]["max_steps"]
    return Remaining.NOTHING if finished or summary.get("status") == "diverged" else Remaining.REST, summary


def is_overridable(override: str) -> bool:
    """Whether an override may change the config of a run that is resumed."""
    return override.lstrip("+").partition("=")[0] in {*OVERRIDABLE, DATA_FOLDER}


def config_diff(first: Any, second: Any, key: str = "") -> Iterator[str]:
    """The keys, dotted, at which two nested configs differ."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for name in sorted(first.keys() | second.keys()):
            yield from config_diff(first.get(name), second.get(name), f"{key}.{name}".lstrip("."))
    elif first != second:
        yield key
