"""The smallest duel: an affine generator, whose density is a known Gaussian, and a discriminator that can be optimal.

    G(z) = A z + b,  z ~ N(0, I)    so that p_g = N(b, A Aᵀ)
    logit D(x) = c + vᵀx + xᵀQ x

For data from N(μ, Σ) the logit of the best D, log p(x) − log p_g(x), is a quadratic in x, so this D can reach it:
what Goodfellow et al. 2014 prove of a D without limits (section 4, proposition 1 and theorem 1) can be watched.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganduel.errors import UserError
from ganduel.model.base import Discriminator, Generator
from ganduel.types import LogDensity, Logits, Noise, Points, Samples


class AffineGenerator(Generator):
    """Noise scaled, turned and shifted; it starts as the identity.

    Args:
        shape: (d,) of the points, d also the dimension of the noise.
    """

    def __init__(self, shape: Sequence[int]):
        check(shape)
        super().__init__(noise_dim=shape[0], noise="normal")
        self.matrix = nn.Parameter(torch.eye(shape[0]))
        self.shift = nn.Parameter(torch.zeros(shape[0]))

    def forward(self, z: Noise) -> Samples:
        return z @ self.matrix.T + self.shift

    def log_prob(self, x: Points) -> LogDensity:
        """Log p_g(x) in nats; in float64, since A may be close to singular."""
        matrix, shift = self.matrix.double(), self.shift.double()
        z = torch.linalg.solve(matrix, (x.double() - shift).T).T
        constant = self.noise_dim / 2 * math.log(2 * math.pi) + torch.linalg.slogdet(matrix).logabsdet
        return -z.square().sum(1) / 2 - constant


class QuadraticDiscriminator(Discriminator):
    """A quadratic logit; it starts at 0, where D = 1/2 everywhere.

    Args:
        shape: (d,) of the points.
    """

    def __init__(self, shape: Sequence[int]):
        super().__init__()
        check(shape)
        self.linear = nn.Linear(shape[0], 1)
        self.quadratic = nn.Parameter(torch.zeros(shape[0], shape[0]))
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Samples) -> Logits:
        return self.linear(x).squeeze(1) + self.form(x)

    def form(self, x: Tensor) -> Tensor:
        """The quadratic part, xᵀQ x."""
        return ((x @ self.quadratic) * x).sum(1)


def check(shape: Sequence[int]) -> None:
    """Refuse data that are no points."""
    if len(shape) != 1:
        raise UserError(f"model=affine is for points, and these samples have the shape {tuple(shape)}. Use model=mlp.")
