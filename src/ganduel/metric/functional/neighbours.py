r"""How far two sets cover each other: precision, recall, density and coverage.

    B(x, X)    the closed ball around x that reaches to its k-th nearest neighbour in X, x itself not counted
    precision  1/m Σ_j [ f_j is in B(r_i, R) for some i ]         fakes that could be real
    recall     1/n Σ_i [ r_i is in B(f_j, F) for some j ]         real samples that could have been generated
    density    1/(k m) Σ_j #{ i : f_j is in B(r_i, R) }           as precision, but counts the balls
    coverage   1/n Σ_i [ some f_j is in B(r_i, R) ]               real samples that have a fake near

R are the n real rows r_i, F the m fake rows f_j, each of d features and more than k rows. All are shares in [0, 1], but
density, which is ≥ 0 and has the mean 1 for independent sets of one distribution. There coverage has the mean
1 − Π_{i=1..k} (n − i) / (m + n − i), which is 0.969 at k = 5 and n = m; recall and precision have no such value. Fakes
that copy all real samples give 1, 1, (k + 1)/k and 1.
Radii and distances are compared with each other, so equal pairs must come out equal wherever they stand, and copies at
0: all decisions are as if by differences in float64. Products, which are faster, decide only what their error cannot
change. Where a point is repeated more than k times its radius is 0, and the ball, being closed, still
holds the copies. (The authors' code of density and coverage takes open balls, which differ only in such ties: discrete
data would score 0.)
Source: Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing generative models", k = 3
(arXiv:1904.06991); Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models", k = 5, with the
mean coverage (arXiv:2002.09797).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ganduel.errors import UserError
from ganduel.metric.functional.check import checked
from ganduel.metric.functional.distance import BLOCK, distances, squared_distances
from ganduel.types import Scalar

EXTRA_CANDIDATES = 4  # for the k-th neighbour, beyond k: the more, the fewer rows need exact distances to all


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]."""

    precision: Scalar
    recall: Scalar


class DensityCoverage(NamedTuple):
    """A mean number of balls in units of k, ≥ 0, and a share in [0, 1]."""

    density: Scalar
    coverage: Scalar


class Neighbourhood(NamedTuple):
    """All four."""

    precision: Scalar
    recall: Scalar
    density: Scalar
    coverage: Scalar


def precision_recall(real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"], k: int = 3) -> PrecisionRecall:
    """The share of fakes within the real balls, and of real samples within the fake balls."""
    real, fake = check_k(real, fake, k)
    real_balls, fake_balls = ball_membership(real, fake, knn_radii(real, k)[0][:, None], knn_radii(fake, k)[0])
    return PrecisionRecall(real_balls.fakes.mean(), (fake_balls.counts > 0).double().mean())


def density_coverage(real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"], k: int = 5) -> DensityCoverage:
    """The number of real balls around a fake, over k, and the share of real balls that hold a fake."""
    real, fake = check_k(real, fake, k)
    (balls,) = ball_membership(real, fake, knn_radii(real, k)[0][:, None])
    return DensityCoverage(balls.counts.mean() * len(real) / (k * len(fake)), (balls.counts > 0).double().mean())


def neighbourhood(
    real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"], k: int = 3, k_coverage: int = 5
) -> Neighbourhood:
    """`precision_recall` and `density_coverage` together, in two thirds of their time."""
    real, fake = check_k(real, fake, max(k, k_coverage))
    radii_k, radii_coverage = knn_radii(real, k, k_coverage)
    reaches = radii_k[:, None], knn_radii(fake, k)[0], radii_coverage[:, None]
    real_balls, fake_balls, coverage_balls = ball_membership(real, fake, *reaches)
    return Neighbourhood(
        precision=real_balls.fakes.mean(),
        recall=(fake_balls.counts > 0).double().mean(),
        density=coverage_balls.counts.mean() * len(real) / (k_coverage * len(fake)),
        coverage=(coverage_balls.counts > 0).double().mean(),
    )


class BallMembership(NamedTuple):
    """Pairs within some reach: for each real row the number of fakes, for each fake whether (1) or not (0) any row."""

    counts: Float[Tensor, " n"]
    fakes: Float[Tensor, " m"]


def ball_membership(
    real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"], *reaches: Float[Tensor, "..."]
) -> list[BallMembership]:
    """For each of the reaches, (n, 1) around the real rows or (m,) around the fakes, the pairs within it."""
    counts = [[] for _ in reaches]
    fakes = [torch.zeros(len(fake), dtype=torch.bool, device=fake.device) for _ in reaches]
    for start in range(0, len(real), BLOCK):
        rows = slice(start, start + BLOCK)
        limits = (reach[rows] if reach.ndim == 2 else reach for reach in reaches)
        for i, inside in enumerate(covered(real[rows], fake, *limits)):
            counts[i].append(inside.sum(1))
            fakes[i] |= inside.any(0)
    return [BallMembership(torch.cat(n).double(), some.double()) for n, some in zip(counts, fakes, strict=True)]


def knn_radii(x: Float[Tensor, "n d"], *ks: int) -> list[Float[Tensor, " n"]]:
    """For each k the distance from each row to its k-th nearest other row.

    A row's distance to itself is exactly 0, hence first in order, even among its copies: the k-th of the others is
    number k + 1 of all.
    """
    parts = [kth_distances(rows, x, [k + 1 for k in ks]) for rows in x.split(BLOCK)]
    return list(torch.cat(parts, 1))


def kth_distances(rows: Float[Tensor, "n d"], x: Float[Tensor, "m d"], ks: Sequence[int]) -> Float[Tensor, "n_ks n"]:
    """For each k the distance from each row to its k-th nearest row of x.

    A few candidates are chosen by products and measured by differences. A row is measured to all of x where the last
    candidate is so near to the k-th that one not chosen might be nearer than that.
    """
    square, error = squared_distances(rows, x)
    last = max(ks)
    near = square.topk(min(last + EXTRA_CANDIDATES, len(x)), largest=False)
    nearest = distances(rows[:, None], x[near.indices]).squeeze(1).sort().values
    ambiguous = (near.values[:, -1:] - near.values[:, last - 1 : last] <= 2 * error).squeeze(1)
    if ambiguous.any():
        nearest[ambiguous] = distances(rows[ambiguous], x).topk(nearest.shape[1], largest=False).values
    return nearest[:, [k - 1 for k in ks]].T


def covered(
    rows: Float[Tensor, "n d"], x: Float[Tensor, "m d"], *reaches: Float[Tensor, "..."]
) -> list[Bool[Tensor, "n m"]]:
    """For each of the reaches, one per row or one per point of x, whether |row − x| ≤ reach.

    By products; pairs that their error leaves undecided are measured by differences.
    """
    square, error = squared_distances(rows, x)
    answers = []
    for limit in reaches:
        margin = limit.square() - square
        inside = margin >= 0
        for pairs in (margin.abs() <= error).nonzero().split(10 * BLOCK):
            row, point = pairs.T
            exact = distances(rows[row, None], x[point, None]).flatten()
            inside[row, point] = exact <= limit.expand_as(square)[row, point]
        answers.append(inside)
    return answers


def check_k(real: Tensor, fake: Tensor, k: int) -> tuple[Tensor, ...]:
    """The sets in float64; refused if a sample has no k-th neighbour."""
    if k < 1:
        raise UserError(f"k={k} is no number of neighbours: the balls would hold nothing. Try k=3 or k=5.")
    return checked(k + 1, f"Draw more, or lower k={k}.", real=real, fake=fake)
