"""Stops a run at the first loss or gradient that is not finite, names the iteration, and saves nothing after it.

Losses and gradient norms of every iteration are kept on the device, and looked at before a row or a checkpoint is
written: the check costs no synchronisation in between, and the last good checkpoint stays good. The iteration's real
samples are then looked at too: a run has not diverged if they are at fault.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ganduel.batch import Batches
from ganduel.callback.base import gan_of
from ganduel.errors import Diverged, UserError

QUANTITIES = {"loss/d": "D's loss", "grad/norm_d": "D's gradient", "loss/g": "G's loss", "grad/norm_g": "G's gradient"}


class Finite(Callback):
    """Raises `Diverged` at the first loss or gradient that is NaN or infinite, unless the data are at fault.

    Args:
        gradients: whether gradients count; under an fp16 scaler infinite ones are skipped as a matter of course.
    """

    def __init__(self, gradients: bool = True):
        self.keys = [key for key in QUANTITIES if gradients or key.startswith("loss")]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        gan = gan_of(trainer)
        block = [values[key] for values in gan.block_outputs for key in self.keys]
        values = torch.stack(block).unflatten(0, (-1, len(self.keys)))
        if trainer.world_size > 1:
            values = trainer.strategy.reduce(values, reduce_op="sum")  # finite if it is so on all ranks
        values = cast(Tensor, values).cpu()
        if (error := divergence(values, trainer.global_step, gan.batches, self.keys)) is not None:
            raise error


def divergence(
    values: Tensor, iteration: int, batches: Batches, keys: Sequence[str] = tuple(QUANTITIES)
) -> UserError | None:
    """What is wrong with a block of iterations, of which `iteration` is the last, by (iterations, quantities)."""
    bad = ~values.isfinite()
    if not bad.any():
        return None
    row = int(bad.any(1).nonzero()[0])
    column = int(bad[row].nonzero()[0])
    n = iteration - len(values) + row + 1
    if (where := batches.non_finite(n - 1)) is not None:
        name = type(batches.data).__name__
        return UserError(f"{name}.minibatch() gave {where} in iteration {n}; the run ends. Mend the data.")
    return Diverged(
        f"{QUANTITIES[keys[column]]} became {values[row, column].item()} in iteration {n}; the run ends. "
        "Try smaller learning rates, a penalty, or gradient clipping."
    )
