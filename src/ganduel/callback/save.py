"""When checkpoints are written: at iteration 0, every so many iterations but not too often, and wherever the run ends.

`checkpoints/iteration_00000000.ckpt` keeps the initial weights; `checkpoints/last.ckpt` is the one to resume from.
"""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from ganduel.block import Scheduled
from ganduel.callback.base import gan_of, next_due
from ganduel.checkpoint import FORMAT, INITIAL, LAST
from ganduel.tracking.secrets import without_secrets


class Save(Checkpoint, Scheduled):
    """Saves the run; Lightning calls a `Checkpoint` after all other callbacks, so that what it saves is on record.

    Args:
        folder: where the checkpoints go.
        every: iterations between two of them.
        config: the run's resolved config, which every checkpoint carries as it is by then, without its secrets.
        min_seconds: the least time between two of them; those that would come earlier are left out.
    """

    def __init__(self, folder: Path, every: int, config: dict[str, Any], min_seconds: float = 0.0):
        self.folder = folder
        self.every = every
        self.config = config
        self.min_seconds = min_seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.saved = time.monotonic()  # a run that goes on has a checkpoint too
        if trainer.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
        if trainer.global_step == 0:
            self.save(trainer, INITIAL)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        n = trainer.global_step
        if n == trainer.max_steps or trainer.should_stop or (n % self.every == 0 and self.is_time(trainer)):
            self.save(trainer, LAST)

    def save(self, trainer: Trainer, name: str) -> None:
        if trainer.is_global_zero:
            self.folder.parent.stat()  # raises if the run's folder was moved or deleted: it is not created again
        trainer.save_checkpoint(self.folder / name)

    def next_due(self, n: int) -> int:
        return next_due(n, self.every)

    def is_time(self, trainer: Trainer) -> bool:
        """Whether the last one is long enough ago; all ranks get the same answer."""
        is_time = trainer.strategy.broadcast(time.monotonic() - self.saved >= self.min_seconds)
        if is_time:
            self.saved = time.monotonic()
        return is_time

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        data, config = gan_of(trainer).batches.data, without_secrets(self.config)
        samples = {"shape": list(data.shape), "image": data.is_image, "classes": data.classes}
        checkpoint["ganduel"] = {"format": FORMAT, "config": config, **samples}
