"""A duel whose numbers are no longer finite is over: the run stops, names where it began, and saves nothing of it.

Losses and gradient norms of every iteration are kept on the device, and looked at before a row or a checkpoint is
written: the check costs no synchronisation in between, and the last good checkpoint stays good.
"""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ganduel.callback.base import Outputs, due, gan_of, next_due, read
from ganduel.errors import Diverged
from ganduel.gan import GAN

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
        self.kept: list[Tensor] = []  # of each iteration since the last look, one number a key
        self.before: list[Tensor] = []  # of iterations before these, (iterations, quantities)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.kept.extend(outputs[key] for key in self.keys)
        if due(trainer, self.every) or due(trainer, self.checkpoint_every) or trainer.should_stop:
            self.look(trainer)

    def next_due(self, n: int) -> int:
        """The first iteration after n that it looks at; until then others may keep the numbers for it."""
        return min(next_due(n, self.every), next_due(n, self.checkpoint_every))

    def keep(self, values: Tensor) -> None:
        """Take the numbers of iterations that are over, (iterations, all quantities)."""
        kept = [values[:, i] for i, key in enumerate(QUANTITIES) if key in self.keys]
        self.before += [*self.rows(), torch.stack(kept, 1)]
        self.kept = []

    def rows(self) -> list[Tensor]:
        """Those of `kept`, as those of `before` are."""
        return [torch.stack(self.kept).unflatten(0, (-1, len(self.keys)))] if self.kept else []

    def look(self, trainer: Trainer) -> None:
        together = gan_of(trainer).peers is not None and not self.before and len(self.kept) == len(self.keys)
        if together and read(all_finite, {}, trainer):
            self.kept = []
            return
        values = torch.cat([*self.before, *self.rows()])
        self.before, self.kept = [], []
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


def all_finite(outputs: Outputs, gans: list[GAN]) -> list[bool]:
    """Of each duel, whether all quantities of one iteration are finite."""
    return torch.stack([outputs[key] for key in QUANTITIES]).isfinite().all(0).tolist()
