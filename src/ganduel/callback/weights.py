"""Every weight of small networks, as a number in the rows: the path of a training that can be drawn.

    weight/g/theta, weight/d/psi    a tensor of one value, by its name in the network
    weight/d/linear.weight/1        a value of a larger one, counted from 0

Rows are at iteration 0, the initial weights, and after each n-th iteration.
"""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from ganduel.block import Scheduled
from ganduel.callback.base import gan_of, is_due, log, next_due
from ganduel.errors import UserError

MOST = 100  # weights of both networks together: each is a column of the rows


class Weights(Callback, Scheduled):
    """Logs all weights at iterations 0, 1, every `every_n_iterations`, and the last."""

    def __init__(self, every_n_iterations: int = 1):
        if every_n_iterations < 1:
            raise UserError(f"callback.weights.every_n_iterations={every_n_iterations} must be at least 1.")
        self.every = every_n_iterations

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gan = gan_of(trainer)
        total = sum(p.numel() for p in (*gan.generator.parameters(), *gan.discriminator.parameters()))
        if total > MOST:
            raise UserError(
                f"callback=[weights] logs each weight of networks with at most {MOST}, and these have {total:,}. "
                "Leave it out."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == 0:
            self.log_weights(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if is_due(trainer, self.every):
            self.log_weights(trainer)

    def next_due(self, n: int) -> int:
        return next_due(n, self.every)

    def log_weights(self, trainer: Trainer) -> None:
        gan = gan_of(trainer)
        log(trainer, weights("weight/g", gan.generator) | weights("weight/d", gan.discriminator))


def weights(prefix: str, net: nn.Module) -> dict[str, float]:
    """All weights of a network by their keys, read from the device at once."""
    named = [(f"{prefix}/{name}", p.detach()) for name, p in net.named_parameters()]
    values = iter(torch.cat([p.flatten() for _, p in named]).tolist())
    keys = [f"{key}/{i}" if p.numel() > 1 else key for key, p in named for i in range(p.numel())]
    return dict(zip(keys, values, strict=True))
