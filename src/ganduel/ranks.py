"""Means over all ranks: of each network's gradient, and of what parts keep, as each rank sees its own rows alone."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the ranks, in one flat all-reduce; nothing to do on one rank."""
    if not has_several():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    means = mean_over_ranks(torch.cat([g.flatten() for g in gradients])).split([g.numel() for g in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


def mean_over_ranks(x: Tensor) -> Tensor:
    """The mean of a tensor over the ranks, without gradient; on one rank the tensor itself."""
    x = x.detach()
    if not has_several():
        return x
    mean = x.clone()
    dist.all_reduce(mean)
    return mean / dist.get_world_size()


def differentiable_mean_over_ranks(x: Tensor) -> Tensor:
    """The mean of a tensor over the ranks, through which each rank's gradient reaches the others' part of it.

    With gradients averaged over the ranks, as those of weights are, it is as if all were computed by one.
    """
    return MeanOverRanks.apply(x) if has_several() else x  # type: ignore[return-value]


class MeanOverRanks(torch.autograd.Function):
    """m = (1/R) Σ x_r on every rank; the gradient in x_r is the mean over the ranks of that in m."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return mean_over_ranks(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return differentiable_mean_over_ranks(gradients[0])  # may be differentiated in turn


def has_several() -> bool:
    """Whether there is more than one rank."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
