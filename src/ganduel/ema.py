"""An exponential moving average of G's weights, which samples better than the last iterate.

    θ_ema ← β θ_ema + (1 − β) θ        after every so many iterations
    β = 2^(−m / h)                     m = images since the last time, h = half-life in images
    h = min(half_life, ramp · images)  images = those that G has been updated on so far

With the half-life in images a schedule survives a change of batch size, and of how often the average is updated: a few
iterations are nothing beside hundreds, and it then costs next to nothing. At the very beginning each iteration updates
it. The ramp forgets the first, useless weights: a fixed β near 1 would drag them along for thousands of iterations.
Buffers (BatchNorm's statistics) are copied.
Source: Karras et al. 2018, "Progressive growing of GANs", appendix A.1 (arXiv:1710.10196); half-life and ramp-up as in
Karras et al. 2020, "Training GANs with limited data" (arXiv:2006.06676), whose ramp is 0.05.
"""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ganduel.errors import UserError
from ganduel.model.base import copied


class EMA(nn.Module):
    """Holds the averaged copy of a network as `self.net`.

    Args:
        net: the network whose weights are followed.
        half_life_kimg: h in thousands of images.
        ramp: the share of all images so far that the half-life never exceeds; None for no ramp.
        every_n_iterations: between two updates; the first so many iterations have one each.
    """

    def __init__(self, net: nn.Module, half_life_kimg: float, ramp: float | None = 0.05, every_n_iterations: int = 1):
        super().__init__()
        if not half_life_kimg > 0:
            raise UserError(f"ema.half_life_kimg={half_life_kimg} must be positive. Use ema=null for no average.")
        if ramp is not None and not ramp > 0:
            raise UserError(f"ema.ramp={ramp} must be positive. Use ema.ramp=null for no ramp.")
        if every_n_iterations < 1:
            raise UserError(
                f"ema.every_n_iterations={every_n_iterations} must be at least 1. Use ema=null for no average."
            )
        self.net = copied(net).requires_grad_(False).eval()
        self.half_life = 1000 * half_life_kimg
        self.ramp, self.every = ramp, every_n_iterations

    def train(self, mode: bool = True) -> "EMA":
        """Always in evaluation mode: the average samples, it does not learn."""
        return super().train(False)

    def due(self, n: int) -> bool:
        """Whether there is an update after iteration number n, from 1."""
        return n <= self.every or n % self.every == 0

    def decay(self, n: int, batch_size: int) -> float:
        """β after iteration number n, of iterations of `batch_size` images."""
        half_life = self.half_life if self.ramp is None else min(self.half_life, self.ramp * n * batch_size)
        return 0.5 ** ((1 if n <= self.every else self.every) * batch_size / half_life)

    def update(self, net: nn.Module, n: int, batch_size: int) -> None:
        """Follow the network's weights after iteration number n, if an update is due."""
        if not self.due(n):
            return
        networks = (self.net, net)
        ema, online = (list[Tensor](module.parameters()) for module in networks)
        ema_buffers, online_buffers = (list(module.buffers()) for module in networks)
        ema_update(ema, ema_buffers, online, online_buffers, self.decay(n, batch_size))


@torch.no_grad()
def ema_update(
    ema: list[Tensor], ema_buffers: list[Tensor], online: list[Tensor], online_buffers: list[Tensor], decay: float
) -> None:
    """Move averaged weights to `decay` of themselves and 1 − decay of the online ones; buffers are copied."""
    get_ema_multi_avg_fn(decay)(ema, online, None)
    for old, new in zip(ema_buffers, online_buffers, strict=True):
        old.copy_(new)
