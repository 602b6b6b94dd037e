r"""How much of one set lies within the reach of the other: precision, recall, density and coverage.

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
0: all that is decided here is as if by differences in float64. Products, which are faster, decide only what their
error cannot change. Where a point is repeated more than k times its radius is 0, and the ball, being closed, still
holds the copies. (The authors' code of density and coverage takes open balls, which differ only in such ties: discrete
data would score 0.)
Source: Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing generative models", equations 1
and 2, k = 3 (arXiv:1904.06991); Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models",
section 3, k = 5, with the mean coverage (arXiv:2002.09797).
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

SPARE = 4  # candidates for the k-th neighbour beyond k: more of them, fewer rows whose candidates are too nearly tied


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
    real, fake = enough(real, fake, k)
    of_real, of_fake = hold(real, fake, radii(real, k)[0][:, None], radii(fake, k)[0])
    return PrecisionRecall(of_real.fakes.mean(), (of_fake.counts > 0).double().mean())


def density_coverage(real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"], k: int = 5) -> DensityCoverage:
    """The number of real balls around a fake, over k, and the share of real balls that hold a fake."""
    real, fake = enough(real, fake, k)
    (of_real,) = hold(real, fake, radii(real, k)[0][:, None])
    return DensityCoverage(of_real.counts.mean() * len(real) / (k * len(fake)), (of_real.counts > 0).double().mean())


def neighbourhood(
    real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"], k: int = 3, k_coverage: int = 5
) -> Neighbourhood:
    """`precision_recall` and `density_coverage` at once, in two thirds of their time."""
    real, fake = enough(real, fake, max(k, k_coverage))
    near, far = radii(real, k, k_coverage)
    balls, of_fake, wide = hold(real, fake, near[:, None], radii(fake, k)[0], far[:, None])
    density = wide.counts.mean() * len(real) / (k_coverage * len(fake))
    shares = ((of_fake.counts > 0).double().mean(), density, (wide.counts > 0).double().mean())
    return Neighbourhood(balls.fakes.mean(), *shares)


class Held(NamedTuple):
    """What is within some reach: of each real row how many fakes, and of each fake whether (1) or not (0) any row."""

    counts: Float[Tensor, " n"]
    fakes: Float[Tensor, " m"]


def hold(real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"], *reaches: Float[Tensor, "..."]) -> list[Held]:
    """For each of the reaches, (n, 1) around the real rows or (m,) around the fakes, which pairs are within it."""
    counts = [[] for _ in reaches]
    fakes = [torch.zeros(len(fake), dtype=torch.bool, device=fake.device) for _ in reaches]
    for start in range(0, len(real), BLOCK):
        rows = slice(start, start + BLOCK)
        limits = (reach[rows] if reach.ndim == 2 else reach for reach in reaches)
        for i, inside in enumerate(within(real[rows], fake, *limits)):
            counts[i].append(inside.sum(1))
            fakes[i] |= inside.any(0)
    return [Held(torch.cat(n).double(), some.double()) for n, some in zip(counts, fakes, strict=True)]


def radii(x: Float[Tensor, "n d"], *ks: int) -> list[Float[Tensor, " n"]]:
    """For each k the distance from each row to its k-th nearest other row.

    A row's distance to itself is exactly 0, hence first in order, even among its copies: the k-th of the others is
    number k + 1 of all.
    """
    parts = [place_distances(rows, x, [k + 1 for k in ks]) for rows in x.split(BLOCK)]
    return list(torch.cat(parts, 1))


def place_distances(
    rows: Float[Tensor, "n d"], x: Float[Tensor, "m d"], places: Sequence[int]
) -> Float[Tensor, "places n"]:
    """The distances from each row to those of x that are number `places` in order of distance.

    A few candidates are found by products and measured by differences. A row is measured to all of x where the last
    candidate is so near to the last place that one left out might belong before it.
    """
    square, error = squared_distances(rows, x)
    last = max(places)
    near = square.topk(min(last + SPARE, len(x)), largest=False)
    order = distances(rows[:, None], x[near.indices]).squeeze(1).sort().values
    unsure = (near.values[:, -1:] - near.values[:, last - 1 : last] <= 2 * error).squeeze(1)
    if unsure.any():
        order[unsure] = distances(rows[unsure], x).topk(order.shape[1], largest=False).values
    return order[:, [place - 1 for place in places]].T


def within(
    rows: Float[Tensor, "n d"], x: Float[Tensor, "m d"], *reaches: Float[Tensor, "..."]
) -> list[Bool[Tensor, "n m"]]:
    """For each of the reaches, one a row or one a point of x, whether |row − x| ≤ reach.

    By products; pairs of which their error leaves the answer open are measured by differences.
    """
    square, error = squared_distances(rows, x)
    answers = []
    for limit in reaches:
        spare = limit.square() - square
        inside = spare >= 0
        for pairs in (spare.abs() <= error).nonzero().split(10 * BLOCK):
            row, point = pairs.T
            apart = distances(rows[row, None], x[point, None]).flatten()
            inside[row, point] = apart <= limit.expand_as(square)[row, point]
        answers.append(inside)
    return answers


def enough(real: Tensor, fake: Tensor, k: int) -> tuple[Tensor, ...]:
    """The sets in float64, each with a k-th neighbour to every sample."""
    if k < 1:
        raise UserError(f"k={k} is no number of neighbours: the balls would hold nothing. Try k=3 or k=5.")
    return checked(k + 1, f"Draw more, or lower k={k}.", real=real, fake=fake)
