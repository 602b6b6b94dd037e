"""Stops a run at the first loss or gradient that is not finite, names the iteration, and saves nothing after it.

Losses and gradient norms of every iteration are kept on the device, and looked at before a row or a checkpoint is
written: the check costs no synchronisation in between, and the last good checkpoint stays good.
"""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ganduel.block import Scheduled
from ganduel.callback.base import gan_of, is_due, next_due
from ganduel.errors import Diverged

QUANTITIES = {"loss/d": "D's loss", "grad/norm_d": "D's gradient", "loss/g": "G's loss", "grad/norm_g": "G's gradient"}


class Finite(Callback, Scheduled):
    """Raises `Diverged` at the first loss or gradient that is NaN or infinite.

    Args:
        every: iterations between two checks, besides those before a checkpoint.
        checkpoint_every: iterations between two checkpoints.
        gradients: whether gradients count; under an fp16 scaler infinite ones are skipped as a matter of course.
    """

    def __init__(self, every: int, checkpoint_every: int, gradients: bool = True):
        self.every = every
        self.checkpoint_every = checkpoint_every
        self.keys = [key for key in QUANTITIES if gradients or key.startswith("loss")]
        self.pending: list[Tensor] = []  # of each iteration since the last check, one number per key

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        for block_outputs in gan_of(trainer).block_outputs:
            self.pending.extend(block_outputs[key] for key in self.keys)
        if is_due(trainer, self.every) or is_due(trainer, self.checkpoint_every) or trainer.should_stop:
            self.check(trainer)

    def next_due(self, n: int) -> int:
        return min(next_due(n, self.every), next_due(n, self.checkpoint_every))

    def check(self, trainer: Trainer) -> None:
        values = torch.stack(self.pending).unflatten(0, (-1, len(self.keys)))
        self.pending = []
        bad = ~values.isfinite()
        if trainer.world_size > 1:
            bad = trainer.strategy.reduce(bad.float(), reduce_op="sum") > 0
        bad = bad.cpu()
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
