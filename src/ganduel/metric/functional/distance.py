"""Euclidean distances between all pairs of two sets, by differences or by products.

    distances          sqrt(Σ_i (x_i − y_i)²)          exact to the last digits, and exactly 0 between equal points
    squared_distances  |x|² + |y|² − 2 x·y             a matrix product: about ten times as fast

x and y are (n, d) and (m, d); the results are (n, m), in the unit of the features and its square. The second cancels:
its error is about 1e-16 (|x|² + |y|²) however near the points are, so that the distance of equal points comes out as
up to 1e-8 of their norm, and differently in each entry of the matrix. It comes with a bound on that error. To compare
distances with each other, as for neighbours, use the first wherever the bound leaves the order open; to add them up or
divide them by a width far above it, the second suffices.
n m numbers of 8 bytes each: callers give BLOCK rows of x at a time, so that a matrix with 10,000 points takes 20 MB,
which fits into a CPU's cache: with 80 MB each pass over it took 1.5 times as long.
Source: for the trap, the documentation of torch.cdist, argument compute_mode; for the bound, Higham 2002, "Accuracy
and stability of numerical algorithms", on inner products.
"""

import torch
from jaxtyping import Float
from torch import Tensor

BLOCK = 250


def distances(x: Float[Tensor, "*b n d"], y: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
    """|x − y| by differences; batched."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def squared_distances(
    x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]
) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n 1"]]:
    """|x − y|² by products, and for each row a bound on its entries' error, which includes the rounding in `distances`.

    Both sets are centred first, so that the error depends on the spread of the points, not on their mean.
    """
    origin = y.mean(0)
    x, y = x - origin, y - origin
    square_x, square_y = x.square().sum(1, keepdim=True), y.square().sum(1)
    square = (square_x + square_y).addmm_(x, y.T, alpha=-2).clamp_(min=0)
    # A sum of d products is off by at most d eps times the sum of their sizes, here 2 (|x|² + |y|²); twice that.
    return square, 4 * (x.shape[1] + 8) * torch.finfo(x.dtype).eps * (square_x + square_y.max())
