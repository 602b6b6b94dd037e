"""Minibatch standard deviation: lets D see how much the samples of a batch differ, which a collapsed G cannot hide.

    s = mean over channels and pixels of the standard deviation over the samples of a group;  a further channel, all s

Groups are as large as they can be with at most `group` samples each and all of one size: of a batch of 7 each sample is
a group, and s is 0. One group are the samples i, i + n/g, i + 2n/g, … of a batch of n in groups of g.
Source: Karras et al. 2018, section 3 (arXiv:1710.10196); groups of 4 as in its code and StyleGAN's.
"""

import torch
from torch import Tensor, nn

from ganduel.errors import UserError


class MinibatchStd(nn.Module):
    """(batch, width, h, w) → (batch, width + 1, h, w)."""

    def __init__(self, group: int = 4):
        super().__init__()
        if group < 1:
            raise UserError(f"a minibatch standard deviation over groups of {group}: there must be at least 1.")
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        group = next(g for g in range(min(self.group, n), 0, -1) if n % g == 0)
        groups = x.unflatten(0, (group, n // group))
        deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))  # of each group
        return torch.cat([x, deviation.repeat(group)[:, None, None, None].expand(n, 1, *x.shape[2:])], 1)
