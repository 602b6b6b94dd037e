"""Going on with a run: its own config, with only such changes as cannot contradict what it has done so far.

A sweep into a folder that has some of its runs already goes on with those that have not ended, by the same rule.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from ganduel import checkpoint as checkpoints
from ganduel.errors import UserError
from ganduel.tracking.files import CONFIG, SUMMARY, read_config
from ganduel.tracking.run_name import HARDWARE_KEYS, IGNORED_IN_COMPARISON

# Where a run is computed and when it ends may change; what it computes may not.
FREE = {*HARDWARE_KEYS, "trainer.max_steps", "trainer.max_epochs", "population.processes", "resume"}


def resumed_config(run: Path, config: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """The config of the run in the folder, with the free overrides applied; the others must agree with it.

    Args:
        run: the run's folder.
        config: what the command line composes to.
        overrides: the command line's own words.
    """
    if not run.is_dir():
        raise UserError(f"resume={run} is not a folder. Give the folder of a run, such as runs/2026-01-31/12-00-00-….")
    saved = OmegaConf.create(read_config(run))
    contradictions = []
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if key in FREE:
            if key != "resume":
                OmegaConf.update(saved, key, OmegaConf.select(config, key))
        elif key == "experiment":
            if override.value() != saved.run.choices.get("experiment"):
                contradictions.append(str(override.input_line))
        elif plain(config, key) != plain(saved, key):
            contradictions.append(f"{override.input_line} (the run has {shown(saved, key)})")
    if contradictions:
        raise UserError(f"resume={run} keeps the run's own config, which contradicts {', '.join(contradictions)}.")
    return cast(dict[str, Any], OmegaConf.to_container(saved, resolve=True))


def plain(config: DictConfig, key: str) -> Any:
    """The value of a key, interpolations resolved."""
    value = OmegaConf.select(config, key)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def shown(saved: DictConfig, key: str) -> Any:
    """A value of the run's for an error's sake: of a group, the choice; of a part, its class."""
    value = plain(saved, key)
    if isinstance(value, dict):
        return saved.run.choices.get(key) or value.get("_target_", ", ".join(value)).rpartition(".")[2] or "none"
    return value


class Left(Enum):
    """How much of a run is left to do."""

    ALL, REST, NOTHING = range(3)


def left_to_do(run: Path, values: Mapping[str, Any]) -> tuple[Left, dict[str, Any]]:
    """What a sweep has left to do of a run, which its folder may hold already; and the summary if there is one.

    Nothing is left of a run that is as long as it should be, and of one that diverged, as it would again.

    Args:
        run: the run's folder; its config is removed if there is no more than that.
        values: the resolved config that the sweep asks for, with which the run's own must agree.
    """
    if not (run / CONFIG).exists():
        return Left.ALL, {}
    if not checkpoints.has_checkpoint(run):
        (run / CONFIG).unlink()  # it never began
        return Left.ALL, {}
    keys = different(read_config(run), values)
    differing = [key for key in keys if key not in FREE and key.partition(".")[0] not in IGNORED_IN_COMPARISON]
    if differing:
        raise UserError(
            f"{run} holds a run with other values of {', '.join(differing[:3])}. Give this sweep a folder of its own: "
            "hydra.sweep.dir=FOLDER."
        )
    summary = json.loads((run / SUMMARY).read_text(encoding="utf-8")) if (run / SUMMARY).exists() else {}
    done = checkpoints.read(checkpoints.latest(run))["global_step"]
    finished = summary.get("status") == "finished" and done >= values["trainer"]["max_steps"]
    return Left.NOTHING if finished or summary.get("status") == "diverged" else Left.REST, summary


def is_free(word: str) -> bool:
    """Whether a word of the command line may change with a run that goes on."""
    return word.lstrip("+").partition("=")[0] in FREE


def different(first: Any, second: Any, key: str = "") -> Iterator[str]:
    """The keys, dotted, at which two nested configs differ."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for name in sorted(first.keys() | second.keys()):
            yield from different(first.get(name), second.get(name), f"{key}.{name}".lstrip("."))
    elif first != second:
        yield key
