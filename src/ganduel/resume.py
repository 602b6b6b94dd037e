"""Going on with a run: its own config, with only such changes as cannot contradict what it has done so far."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from ganduel.errors import UserError
from ganduel.tracking.record import read_config

# Where a run is computed and when it ends may change; what it computes may not.
FREE = {f"trainer.{key}" for key in ("accelerator", "devices", "num_nodes", "max_steps", "max_epochs")} | {"resume"}


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
        return saved.run.choices.get(key) or value.get("_target_", ", ".join(value)).rpartition(".")[2]
    return value
