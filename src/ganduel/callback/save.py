"""When checkpoints are written: at iteration 0, every so many iterations, and wherever the run ends.

`checkpoints/iteration_00000000.ckpt` keeps the initial weights; `checkpoints/last.ckpt` is the one to resume from.
"""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from ganduel.callback.base import gan_of, next_due
from ganduel.checkpoint import FORMAT, INITIAL, LAST
from ganduel.loop import Seldom


class Save(Checkpoint, Seldom):
    """Saves the run; Lightning calls a `Checkpoint` after all other callbacks, so that what it saves is on record.

    Args:
        folder: where the checkpoints go.
        every: iterations between two of them.
        config: the run's resolved config, which every checkpoint carries.
    """

    def __init__(self, folder: Path, every: int, config: dict[str, Any]):
        self.folder = folder
        self.every = every
        self.config = config

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == 0:
            trainer.save_checkpoint(self.folder / INITIAL)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        n = trainer.global_step
        if n % self.every == 0 or n == trainer.max_steps or trainer.should_stop:
            trainer.save_checkpoint(self.folder / LAST)

    def next_due(self, n: int) -> int:
        return next_due(n, self.every)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        shape = list(gan_of(trainer).data.shape)
        checkpoint["ganduel"] = {"format": FORMAT, "config": self.config, "shape": shape}
