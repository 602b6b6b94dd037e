"""One Hydra job: a run, or a population of runs. Its first line says where it is, its last how it ended."""

import logging
import shlex
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ganduel import checkpoint as checkpoints
from ganduel.callback.objective import objective_of
from ganduel.data.base import is_image
from ganduel.errors import program, typed
from ganduel.run.app import read_summary
from ganduel.run.folder import is_population
from ganduel.run.lock import folder_lock
from ganduel.run.prepare import prepare_run
from ganduel.run.run import fit
from ganduel.run.search import current_trial
from ganduel.tracking.base import is_first_rank
from ganduel.tracking.files import POPULATION

log = logging.getLogger("ganduel")


def train(config: DictConfig) -> float | None:
    """Start or resume a run or a population. Returns the last value of the objective, for a sweeper."""
    folder = Path(HydraConfig.get().runtime.output_dir if config.resume is None else config.resume)
    if is_population(config.population) or (config.resume is not None and (folder / POPULATION).exists()):
        from ganduel.population.training import train_population  # here, as most runs are single

        return train_population(config, folder)
    with folder_lock(folder) if is_first_rank() else nullcontext():
        values, checkpoint, summary, data = prepare_run(config, folder)
        if summary is None:
            announce(folder, values)
            try:
                summary = fit(values, folder, checkpoint, data, current_trial())
            except SystemExit:  # after a signal
                report(folder, read_summary(folder))
                raise
            report(folder, summary)
    return None if values["objective"] is None else objective_of(values["objective"], summary)


def announce(folder: Path, values: Mapping[str, Any]) -> None:
    if is_first_rank():
        log.info("run %s: %s iterations", folder, f"{values['trainer']['max_steps']:,}")


def report(folder: Path, summary: Mapping[str, Any]) -> None:
    """Say how the run has ended, and what to type now; the reason of a failure is the line after."""
    status = summary.get("status")
    if not is_first_rank() or status not in ("finished", "stopped", "pruned"):
        return
    ended = f"run {folder}: {status} at iteration {summary['iteration']:,}"
    if status != "finished":
        by = summary["reason"] if status == "stopped" else f"the search at {summary['reason']}"
        log.info("%s by %s. Go on: %s %s", ended, by, program(), typed("resume", folder))
    else:
        entry = checkpoints.read(checkpoints.latest(folder))["ganduel"]
        out = "samples.png" if entry.get("image", is_image(entry["shape"])) else "samples.npz"
        log.info("%s. Samples: ganduel sample %s --out %s", ended, shlex.quote(str(folder)), out)
