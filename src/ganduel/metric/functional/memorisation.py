"""Whether samples repeat the training data, or each other.

    nearest    median of the distance from a sample to the nearest training row, in units of the features
    copies     proportion of samples within ε of a training row, in [0, 1]
    repeats    proportion of samples within ε of another sample, in [0, 1]
    ε          the distance within which a hundredth of the training rows have another one

train are the n training rows, fake the m rows of samples, both of d features, n, m ≥ 2. Samples of the training data's
own density have copies = 0.01 or so for n = m, fewer repeats than that for m < n, and the distances of held-out rows;
copies of training rows have nearest = 0 and copies = 1. ε is of the data, not of the samples: where training data
repeat themselves it is 0, and exact copies alone count. It is found for the first m training rows.
The comparison with held-out data is that of Meehan et al. 2020, "A non-parametric test to detect data-copying in
generative models" (arXiv:2004.05675), without its test statistic.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ganduel.metric.functional.check import checked
from ganduel.metric.functional.distance import BLOCK
from ganduel.metric.functional.neighbours import kth_distances
from ganduel.types import Scalar

NEAR = 0.01  # the proportion of training rows that are as near as ε to another


class Memorisation(NamedTuple):
    """A distance, and two proportions in [0, 1]."""

    nearest: Scalar
    copies: Scalar
    repeats: Scalar


def memorisation(train: Float[Tensor, "n d"], fake: Float[Tensor, "m d"]) -> Memorisation:
    """How near samples are to training rows and to each other."""
    train, fake = checked(2, train=train, fake=fake)
    limit = nearest_distances(train[: len(fake)], train, among=True).quantile(NEAR)
    to_train = nearest_distances(fake, train)
    to_others = nearest_distances(fake, fake, among=True)
    return Memorisation(
        nearest=to_train.median(),
        copies=(to_train <= limit).double().mean(),
        repeats=(to_others <= limit).double().mean(),
    )


def nearest_distances(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"], among: bool = False) -> Float[Tensor, " n"]:
    """The distance from each row of x to the nearest row of y; to the nearest other one, if x are among those of y."""
    return torch.cat([kth_distances(rows, y, [2 if among else 1])[0] for rows in x.split(BLOCK)])
