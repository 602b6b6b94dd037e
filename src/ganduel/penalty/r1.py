r"""R1: D is to be flat around the data.

    P = γ/2 · E[‖∇_x D(x)‖²]        x real; D(x) here the logit; ‖·‖² summed over all of a sample's values

γ has the unit of squared sample units per nat². For a linear D(x) = w·x + c it is γ/2 · |w|². With it, and
with neither instance noise nor Lipschitz bounds, the game converges locally where the unpenalised one may circle.
Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually converge?", section 4.1,
equation 9 (arXiv:1801.04406); γ = 10 in their published code, for images of 128×128 and more.
"""

from collections.abc import Callable

import torch

from ganduel.batch import Minibatch
from ganduel.errors import UserError
from ganduel.penalty.base import SlopePenalty
from ganduel.types import Samples, Scalar


class R1(SlopePenalty):
    """Zero-centred gradient penalty on real samples."""

    def __init__(self, gamma: float = 10.0, every: int = 1):
        super().__init__(every)
        if not gamma >= 0:
            raise UserError(f"penalty.r1.gamma={gamma} would reward a steep D. Give a number that is not negative.")
        self.gamma = gamma

    def forward(self, net: Callable, b: Minibatch, fake: Samples) -> Scalar:
        slope = torch.func.grad(lambda x: net(x, b.labels).sum())(b.real)  # samples are independent: one row each
        return self.gamma / 2 * slope.square().flatten(1).sum(1).mean()
