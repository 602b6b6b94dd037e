"""When checkpoints are written: at iteration 0, every so many iterations but not too often, and wherever the run ends.

`checkpoints/iteration_00000000.ckpt` keeps the initial weights; `checkpoints/last.ckpt` is the one to resume from.
"""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from ganduel.callback.base import Outputs, gan_of, next_due, others, read
from ganduel.checkpoint import FORMAT, INITIAL, LAST
from ganduel.gan import GAN
from ganduel.loop import Seldom


class Save(Checkpoint, Seldom):
    """Saves the run; Lightning calls a `Checkpoint` after all other callbacks, so that what it saves is on record.

    Args:
        folder: where the checkpoints go.
        every: iterations between two of them.
        config: the run's resolved config, which every checkpoint carries.
        apart: seconds between two of them at the least; those that would come earlier are left out.
    """

    def __init__(self, folder: Path, every: int, config: dict[str, Any], apart: float = 0.0):
        self.folder = folder
        self.every = every
        self.config = config
        self.apart = apart

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.saved = time.monotonic()  # a run that goes on has a checkpoint too
        if trainer.global_step == 0:
            trainer.save_checkpoint(self.folder / INITIAL)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        n = trainer.global_step
        if n == trainer.max_steps or trainer.should_stop or (n % self.every == 0 and self.is_time(trainer)):
            trainer.save_checkpoint(self.folder / LAST)

    def next_due(self, n: int) -> int:
        return next_due(n, self.every)

    def is_time(self, trainer: Trainer) -> bool:
        """Whether the last one is long enough ago; all ranks, and all members of a population, get the same answer."""
        wanted = trainer.strategy.broadcast(read(long_ago, {}, trainer))
        if wanted:
            self.saved = time.monotonic()
        return wanted

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        shape = list(gan_of(trainer).data.shape)
        checkpoint["ganduel"] = {"format": FORMAT, "config": self.config, "shape": shape}


def long_ago(outputs: Outputs, gans: list[GAN]) -> list[bool]:
    """Whether one of the duels was saved last as long ago as is wanted."""
    saves = [save for gan in gans for save in others(gan.trainer, Save)]
    return [any(time.monotonic() - save.saved >= save.apart for save in saves)] * len(gans)
