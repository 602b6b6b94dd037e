"""What the callbacks share: when a row is due, and how it reaches the loggers."""

import math
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from ganduel.gan import GAN
from ganduel.tracking.base import Logger, position

T = TypeVar("T")


def is_due(trainer: Trainer, every: int) -> bool:
    """Whether the iteration just done is the first, one in `every`, or the last."""
    n = trainer.global_step
    return n == 1 or n % every == 0 or n == trainer.max_steps


def next_due(n: int, every: int) -> int:
    """The first iteration after n that is due; the last one is in any case."""
    return 1 if n < 1 else n - n % every + every


def geometric(n: int, first: int, growth: float) -> bool:
    """Whether n is first · growth^i, rounded, for some i."""
    if n < first:
        return False
    i = round(math.log(n / first) / math.log(growth))
    return any(round(first * growth**j) == n for j in (i - 1, i, i + 1))


def next_geometric(n: int, first: int, growth: float) -> int:
    """The first such number after n."""
    i = 0 if n < first else math.floor(math.log(n / first) / math.log(growth))
    return next(m for j in count(i) if (m := round(first * growth**j)) > n)


class Clocked:
    """A callback that tells how long training takes."""

    def leave_out(self, seconds: float) -> None:
        """Do not count seconds that have just been spent on something else."""


def others(trainer: Trainer, kind: type[T]) -> list[T]:
    """The trainer's callbacks of a kind."""
    return [callback for callback in cast(Any, trainer).callbacks if isinstance(callback, kind)]


def gan_of(trainer: Trainer) -> GAN:
    """The module in training, which is a GAN."""
    return cast(GAN, trainer.lightning_module)


def images_seen(gan: GAN) -> int:
    """Real samples that D has been trained on so far, over all ranks."""
    return position(gan)["images_seen"]


def trackers(trainer: Trainer) -> list[Logger]:
    """Those of the trainer's loggers that take more than rows."""
    return [logger for logger in trainer.loggers if isinstance(logger, Logger)]


def log_picture(trainer: Trainer, key: str, path: Path, caption: str) -> None:
    """Send a picture that has been saved to all loggers that take pictures."""
    for tracker in trackers(trainer):
        tracker.log_picture(key, path, caption, step=trainer.global_step)


def log(trainer: Trainer, values: Mapping[str, float]) -> None:
    """Send one row to all loggers; every row says at which iteration and after how many images it was taken.

    Called on all ranks, so that each has the values where Lightning's callbacks look for what they monitor.
    """
    row = {**position(gan_of(trainer)), **values}
    numbers = torch.tensor(list(row.values()), dtype=torch.float64)
    trainer.callback_metrics.update(zip(row, numbers, strict=True))
    for logger in trainer.loggers:
        logger.log_metrics(row, step=trainer.global_step)


def gather_columns(trainer: Trainer, rows: Tensor) -> Tensor:
    """Rows over the batch of all ranks, from the rows of each rank's part of it."""
    if trainer.world_size == 1:
        return rows
    gathered = trainer.strategy.all_gather(rows)  # (rank, rows, local batch)
    return gathered.transpose(0, 1).flatten(1)
