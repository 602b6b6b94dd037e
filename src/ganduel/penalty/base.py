"""What a penalty is: a term that the loss of D or of G gains in those updates in which it is due.

A penalty of D gets D as the function `logits(x, y)`, a penalty of G gets G as `generator(z)` or `generator(z, y)`; both
get the update's minibatch and its generated samples. It calls the network and never alters it: derivatives are taken by
`torch.func.grad`, which works under `torch.func.vmap` too, where `requires_grad_` does not. What it draws comes from
`minibatch.draws`; what it keeps, such as a moving average, is a buffer, changed in place, and so in the checkpoint. A
rank sees its part of the minibatch: what is kept must be averaged by `ganduel.ranks.mean_over_ranks`.

With `every` = n a penalty is due in each n-th iteration and weighs n times as much (lazy regularisation, Karras et al.
2020, "Analyzing and improving the image quality of StyleGAN", section 3.1 and appendix B, arXiv:1912.04958). There it
has an optimizer step of its own, for which Adam's learning rate and betas are corrected; here it is part of the step
that is taken anyway, and nothing needs a correction.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganduel.batch import Minibatch
from ganduel.errors import UserError
from ganduel.model.base import uses_batch_norm
from ganduel.types import Labels, Samples, Scalar


class Penalty(nn.Module, ABC):
    """A regulariser of one network.

    Args:
        every: iterations between two in which it is due.

    Attributes:
        bounds_slope: whether it keeps D Lipschitz, as a Wasserstein loss needs it.
    """

    bounds_slope: bool = False

    def __init__(self, every: int = 1):
        super().__init__()
        if every < 1:
            raise UserError(f"{type(self).__name__}: every={every} must be at least 1.")
        self.every = every

    @abstractmethod
    def forward(self, net: Callable, b: Minibatch, fake: Samples) -> Scalar:
        """The term, weight included, without the factor `every`."""

    def check(self, network: nn.Module, shape: Sequence[int]) -> None:
        """Refuse a network, or samples of a shape, that the penalty makes no sense for."""

    def after_step(self, parameters: Iterable[Tensor]) -> None:
        """What becomes of the network's weights after each step of its optimizer, in place; by default nothing."""


def due_in(t: int, *penalties: Any) -> tuple[nn.Module, ...]:
    """Those of the penalties that iteration t's updates have."""
    return tuple(penalty for penalty in penalties if t % penalty.every == 0)


def check_weight(penalty: Penalty, **weights: float) -> None:
    """Refuse a negative weight, which would reward what the penalty is to keep small."""
    for name, weight in weights.items():
        if not weight >= 0:
            raise UserError(f"{type(penalty).__name__}: {name}={weight} must not be negative, or it is a reward.")


class SlopePenalty(Penalty):
    """A penalty on D's slope at each sample, which no D with a BatchNorm has."""

    def check(self, network: nn.Module, shape: Sequence[int]) -> None:
        if uses_batch_norm(network):
            raise UserError(
                f"{type(self).__name__} needs D's slope at each sample, and a BatchNorm in D mixes the samples. "
                "Use norm=layer or norm=spectral in D, or penalty=[]."
            )


def uniform_per_sample(b: Minibatch) -> Tensor:
    """One number from U(0, 1) for each real sample, of a shape to multiply samples by."""
    return b.draws.uniform(b.real.flatten(1)[:, 0]).reshape(-1, *[1] * (b.real.ndim - 1))


def slopes(logits: Callable, x: Samples, y: Labels | None) -> Tensor:
    """∇_x D(x) of each sample, (batch, values); of the sum of all logits, since no sample depends on another."""
    return torch.func.grad(lambda x: logits(x, y).sum())(x).flatten(1)
