"""The Dirac-GAN: a generator and a discriminator of one weight each, whose training can be followed in the plane.

    G(z) = θ          whatever z is: p_g is a Dirac delta at θ
    D(x) = ψ · x      the logit; no constant

For a Dirac delta at 0, `data=dirac`, the equilibrium is θ = ψ = 0. Near it the gradients of a loss are those of a
rotation, and whether training ends there depends on the loss, the penalty and the order of the updates: docs/theory.md.
Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually converge?", definition 2.1
(arXiv:1801.04406).
"""

from collections.abc import Sequence

import torch
from torch import nn

from ganduel.errors import UserError
from ganduel.model.base import Discriminator, Generator
from ganduel.types import Logits, Noise, Samples


class DiracGenerator(Generator):
    """The point θ.

    Args:
        shape: (1,), of points on the line.
        theta: θ before training.
    """

    def __init__(self, shape: Sequence[int], theta: float = 1.0):
        check(shape)
        super().__init__(noise_dim=1)
        self.theta = nn.Parameter(torch.tensor(float(theta)))

    def forward(self, z: Noise) -> Samples:
        return self.theta.expand(z.shape[0], 1)


class DiracDiscriminator(Discriminator):
    """The line ψ · x.

    Args:
        shape: (1,), of points on the line.
        psi: ψ before training.
    """

    def __init__(self, shape: Sequence[int], psi: float = 1.0):
        check(shape)
        super().__init__()
        self.psi = nn.Parameter(torch.tensor(float(psi)))

    def forward(self, x: Samples) -> Logits:
        return self.psi * x.squeeze(1)


def check(shape: Sequence[int]) -> None:
    """Refuse data that are no points on the line."""
    if tuple(shape) != (1,):
        raise UserError(
            f"model=dirac is for points on the line, and these samples have the shape {tuple(shape)}. Use data=dirac."
        )
