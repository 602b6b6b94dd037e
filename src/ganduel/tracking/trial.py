"""Tells a search how a run does, and stops the run where the search has seen enough of it.

As a logger it sees each row as it is logged, whoever logs it, so that any metric of the record can decide.
"""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ganduel.tracking.base import Logger
from ganduel.tracking.files import keys_named


class TrialLogger(Logger):
    """Reports the values of one metric to a trial, by iteration.

    A run on several ranks reports too, but is not stopped: all ranks would have to stop after the same iteration.

    Args:
        objective: the metric's name, or its first part.
        trial: Optuna's.

    Attributes:
        pruned: the metric's value at which the run was stopped, in words; None: it was not.
    """

    pruned: str | None = None

    def __init__(self, objective: str, trial: Any):
        super().__init__()
        self.objective, self.trial = objective, trial

    @property
    def name(self) -> str:
        return "search"

    @property
    def version(self) -> int:
        return self.trial.number

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        keys = keys_named(self.objective, metrics)
        if not keys or self.pruned is not None:
            return
        value, iteration, trainer = float(metrics[keys[0]]), self.row({}, step)["iteration"], self.gan.trainer
        self.trial.report(value, iteration)
        if iteration < trainer.max_steps and trainer.world_size == 1 and self.trial.should_prune():
            self.pruned = f"{keys[0]} = {value:.4g}"
            trainer.should_stop = True
