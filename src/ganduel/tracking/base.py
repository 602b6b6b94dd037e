"""Base of our loggers: a Lightning logger that also takes histograms, metric protocols, images and the summary.

Other Lightning loggers may be used next to them; they get the rows alone. Rows come from our callbacks, and from anyone
who logs by Lightning's ways: `pl_module.log`, `logger.log_metrics`, callbacks such as LearningRateMonitor. Each has its
iteration, the number of those done when it is logged. Lightning's own `step` counts batches, which are blocks of
iterations here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger as LightningLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ganduel.environment import rank_from_environment


def position(gan: Any) -> dict[str, int]:
    """How far a GAN in training is: iterations, and real samples that D has been trained on, over all ranks."""
    n = gan.global_step
    return {"iteration": n, "images_seen": n * gan.batches.k * gan.batches.batch_size}


class Logger(LightningLogger):
    """Logs a run, on the first rank only. Each method but `log_metrics` may be left out.

    Attributes:
        gan: the one in training; None before it is built.
    """

    gan: Any = None

    def row(self, metrics: Mapping[str, Any], step: int | None) -> dict[str, Any]:
        """The metrics after the columns that each row has."""
        columns = position(self.gan) if self.gan is not None else {} if step is None else {"iteration": step}
        return {**columns, **metrics, **columns}

    def begin(self, iteration: int) -> None:
        """The run begins, or goes on after an iteration; before that, it may still be refused without a trace."""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: a logger gets the whole config when it is built."""

    def log_histograms(self, counts: Mapping[str, list[int]], step: int) -> None:
        """Log counts in equal bins of `files.RANGES`: of D(x), "d/real", of logits, "logit/real", or of "…/fake"."""

    def log_protocols(self, protocols: Mapping[str, Mapping[str, Any]], step: int) -> None:
        """Log what each metric's value depends on besides the generator, by the metric's key."""

    def log_picture(self, key: str, path: Path, caption: str, step: int) -> None:
        """Log an image file of the run's folder."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Log the summary; the run has ended, successfully or not."""


def is_first_rank() -> bool:
    """Whether this process is the one that writes; also known before the process group exists."""
    return rank_from_environment() == 0 and getattr(rank_zero_only, "rank", 0) == 0
