"""A duel whose numbers are no longer finite is over: the run stops, names where it began, and saves nothing of it.

Losses and gradient norms of every iteration are kept on the device, and looked at before a row or a checkpoint is
written: the check costs no synchronisation in between, and the last good checkpoint stays good.
"""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ganduel.callback.base import due
from ganduel.errors import Diverged

QUANTITIES = {"loss/d": "D's loss", "grad/norm_d": "D's gradient", "loss/g": "G's loss", "grad/norm_g": "G's gradient"}


class Finite(Callback):
    """Raises `Diverged` at the first loss or gradient that is NaN or infinite.

    Args:
        every: iterations between two looks, besides those before a checkpoint.
        checkpoint_every: iterations between two checkpoints.
        gradients: whether gradients count; under an fp16 scaler infinite ones are skipped as a matter of course.
    """

    def __init__(self, every: int, checkpoint_every: int, gradients: bool = True):
        self.every = every
        self.checkpoint_every = checkpoint_every
        self.keys = [key for key in QUANTITIES if gradients or key.startswith("loss")]
        self.kept: list[Tensor] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.kept.extend(outputs[key] for key in self.keys)
        if due(trainer, self.every) or due(trainer, self.checkpoint_every) or trainer.should_stop:
            self.look(trainer)

    def look(self, trainer: Trainer) -> None:
        values = torch.stack(self.kept).unflatten(0, (-1, len(self.keys)))  # (iterations, quantities)
        self.kept = []
        bad = trainer.strategy.reduce((~values.isfinite()).float(), reduce_op="sum") > 0
        if not bad.any():
            return
        row = int(bad.any(1).nonzero()[0])
        column = int(bad[row].nonzero()[0])
        iteration = trainer.global_step - len(values) + row + 1
        value = values[row, column].item()
        raise Diverged(
            f"{QUANTITIES[self.keys[column]]} became {value} in iteration {iteration}; the run ends. "
            "Try smaller learning rates, a penalty, or gradient clipping."
        )
