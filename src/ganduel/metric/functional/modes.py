r"""How many modes of known data are generated, and how evenly.

    high quality   a sample within w σ of its nearest centre, by Euclidean distance (w = 3)
    modes          centres, or classes, with one such sample or more
    reverse KL     Σ_i s_i log(s_i m),   s_i = share of the high-quality samples that fell to mode i, 0 log 0 = 0

Samples are (n, d), the m centres (m, d), σ > 0 in their unit: the modes of a mixture of Gaussians with equal weights.
`class_coverage` asks the same of labels, one per sample, from a classifier: 1,000 classes for stacked MNIST, each
of its samples being of some class. The reverse KL is that from the uniform distribution to the generator's, in nats:
0 where all modes are equally frequent, log m where all samples fall to one. Without any high-quality sample there are
no shares: it is NaN then, while modes and high_quality are 0.
What perfect samples score: high_quality is 1 − exp(−9/2) = 0.989 in two dimensions, and falls with the dimension; the
reverse KL, by chance alone, is about (m − 1) / (2 n): 0.019 for 26,000 samples of 1,000 classes.
Source: modes and high quality, Srivastava et al. 2017, "VEEGAN" (arXiv:1705.07761); the reverse KL over modes, Lin et
al. 2018, "PacGAN" (arXiv:1712.04086); on stacked MNIST, Metz et al. 2016, "Unrolled generative adversarial networks"
(arXiv:1611.02163).
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from ganduel.errors import UserError
from ganduel.metric.functional.check import checked
from ganduel.metric.functional.distance import BLOCK, distances
from ganduel.types import Scalar


class ModeCoverage(NamedTuple):
    """Number of modes found, share of high-quality samples, their number per mode, and the reverse KL in nats."""

    modes: Int[Tensor, ""]
    high_quality: Scalar
    counts: Int[Tensor, " m"]
    reverse_kl: Scalar


class ClassCoverage(NamedTuple):
    """Number of classes found, and the reverse KL in nats."""

    modes: Int[Tensor, ""]
    reverse_kl: Scalar


def mode_coverage(
    samples: Float[Tensor, "n d"], centres: Float[Tensor, "m d"], sigma: float, within: float = 3.0
) -> ModeCoverage:
    """What the samples cover of a mixture of Gaussians of standard deviation sigma around the centres."""
    if not 0 < sigma < math.inf:
        raise UserError(f"sigma={sigma} is no standard deviation. Give that of the mixture's components, above 0.")
    samples, centres = checked(1, samples=samples, centres=centres)
    nearest = [distances(rows, centres).min(1) for rows in samples.split(BLOCK)]
    good = torch.cat([near.values for near in nearest]) <= within * sigma
    counts = torch.cat([near.indices for near in nearest])[good].bincount(minlength=len(centres))
    return ModeCoverage((counts > 0).sum(), good.double().mean(), counts, reverse_kl(counts))


def class_coverage(labels: Integer[Tensor, " n"], classes: int) -> ClassCoverage:
    """What labels from 0 to classes − 1 cover of these classes, all equally frequent in the data."""
    if len(labels) == 0:
        raise UserError("There are no labels, so nothing to count. Draw samples and classify them.")
    if labels.min() < 0 or labels.max() >= classes:
        span = f"{int(labels.min())} to {int(labels.max())}"
        raise UserError(
            f"Labels run from {span}, but classes={classes} has 0 to {classes - 1}. "
            "Give the number of classes that the labels were made for."
        )
    counts = labels.bincount(minlength=classes)
    return ClassCoverage((counts > 0).sum(), reverse_kl(counts))


def mode_ranges(m: int) -> dict[str, tuple[float, float]]:
    """The lowest and the highest possible number of modes found of m, and reverse KL."""
    return {"modes": (0.0, float(m)), "reverse_kl": (0.0, math.log(m) if m else math.inf)}


def reverse_kl(counts: Int[Tensor, " m"]) -> Scalar:
    """KL(share of each mode || uniform) in nats: log m less the entropy; NaN if all counts are 0."""
    return math.log(len(counts)) - torch.special.entr(counts.double() / counts.sum()).sum()
