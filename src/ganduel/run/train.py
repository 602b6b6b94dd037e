"""One Hydra job: a run, or a population of runs."""

from contextlib import nullcontext
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ganduel.run.folder import is_population
from ganduel.run.lock import folder_lock
from ganduel.run.prepare import prepare_run
from ganduel.run.run import fit, objective_of
from ganduel.tracking.base import is_first_rank
from ganduel.tracking.files import POPULATION


def train(config: DictConfig) -> float | None:
    """Start or resume a run or a population. Returns the last value of the objective, for a sweeper."""
    folder = Path(HydraConfig.get().runtime.output_dir if config.resume is None else config.resume)
    if is_population(config.population) or (config.resume is not None and (folder / POPULATION).exists()):
        from ganduel.population.training import train_population  # here, as most runs are single

        return train_population(config, folder)
    with folder_lock(folder) if is_first_rank() else nullcontext():
        values, checkpoint, summary = prepare_run(config, folder)
        if summary is None:
            summary = fit(values, folder, checkpoint)
    return None if values["objective"] is None else objective_of(values["objective"], summary)
