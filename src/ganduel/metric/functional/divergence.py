r"""How far apart two known densities are: the Jensen–Shannon divergence by quadrature, and the best D between them.

    JS(p, q) = 1/2 ∫ p log(p/m) + 1/2 ∫ q log(q/m),   m = (p + q)/2
    D*(x)    = p(x) / (p(x) + q(x)) = sigmoid(log p(x) − log q(x))

log p and log q are given in nats at the midpoints of a regular grid, −inf where a density is 0; an integral is the sum
over the points times the volume of a cell. JS is in nats, from 0 where p = q to log 2 where they nowhere overlap, up to
rounding and to what the grid misses: the cells must be small against the narrowest peak, and the box must hold all
mass (check that exp(log_p).sum() * cell is 1). With the best D, the minimax value is 2 JS(p, q) − 2 log 2; at p = q
D* is 1/2 everywhere.
Source: Goodfellow et al. 2014, "Generative Adversarial Nets", proposition 1 and theorem 1 (arXiv:1406.2661).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ganduel.errors import UserError
from ganduel.types import Scalar


class Grid(NamedTuple):
    """Midpoints, one per row, the last coordinate changing fastest, and the volume of a cell."""

    midpoints: Float[Tensor, "n d"]
    cell: float


def grid(
    lower: Sequence[float] | Float[Tensor, " d"], upper: Sequence[float] | Float[Tensor, " d"], points: int
) -> Grid:
    """The box from lower to upper cut into points^d equal cells, `points` along each of its d axes, in float64.

    Midpoints: the corners of the box are no points of the grid, and each point stands for one cell.
    """
    low, high = (torch.as_tensor(end, dtype=torch.float64) for end in (lower, upper))
    if len(low) == 0 or low.shape != high.shape or not bool((low < high).all()) or points < 1:
        raise UserError(
            f"No grid of {points} points an axis from {low.tolist()} to {high.tolist()}: each axis needs a lower end "
            "below its upper end, and a point. Give as many lower ends as upper ends."
        )
    steps = (high - low) / points
    coordinates = (torch.arange(points, dtype=torch.float64, device=low.device) + 0.5)[:, None] * steps + low
    axes = torch.meshgrid(*coordinates.T, indexing="ij")
    return Grid(torch.stack([axis.flatten() for axis in axes], 1), math.prod(steps.tolist()))


def jensen_shannon(log_p: Float[Tensor, "*n"], log_q: Float[Tensor, "*n"], cell: float) -> Scalar:
    """JS of the densities whose logarithms are given at the points of a grid, in nats."""
    log_p, log_q = densities(log_p, log_q)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)

    def divergence(log_p: Tensor) -> Tensor:
        """KL(p || m); the integrand is 0 where p is, and −inf − (−inf) would make it NaN."""
        return torch.where(log_p > -math.inf, log_p.exp() * (log_p - log_m), 0.0).sum() * cell

    return (divergence(log_p) + divergence(log_q)) / 2


def optimal_discriminator(log_p: Float[Tensor, "*n"], log_q: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """D*, in [0, 1], of p as real and q as fake; NaN where both densities are 0 and any D is as good."""
    log_p, log_q = densities(log_p, log_q)
    return torch.sigmoid(log_p - log_q)


def densities(log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64, checked to be log densities at the same points."""
    if log_p.shape != log_q.shape:
        shapes = f"{tuple(log_p.shape)} and {tuple(log_q.shape)}"
        raise UserError(f"log_p and log_q have the shapes {shapes}, not of the same points. Evaluate both on one grid.")
    for name, x in (("log_p", log_p), ("log_q", log_q)):
        if not bool((x < math.inf).all()):
            raise UserError(f"{name} is NaN or infinite at some points, so no density there. Look at the points given.")
    return log_p.double(), log_q.double()
