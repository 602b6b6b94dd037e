r"""The Parzen window estimate of log-likelihood: what a density made of Gaussians around the samples says of points.

    log p(x) = log 1/n Σ_i N(x; s_i, σ² I)
             = logsumexp_i(−|x − s_i|² / (2 σ²)) − log n − d/2 log(2 π σ²)

s_i are the n generated samples (n, d), x the test points (n_points, d), σ > 0 in their unit; the result is in nats per
point, any real number: a point on the only sample has −d/2 log(2 π σ²), which grows without limit as σ falls.

Protocol, so that numbers compare with the papers': pixels in [0, 1] (in [−1, 1] all is lower by d log 2, 543 nats for
MNIST, at twice the σ), n = 10,000 samples, σ that of SIGMAS with the greatest mean on a validation set, then mean and
standard error, std/sqrt(n_points), over the 10,000 test points. Quote beside it what n training images score. The
estimate says little in high dimensions: k-means centroids of the training set can score above the data themselves.
Distances are taken by products in float64: at pixels' scale the error is below 1e-9 nats. 1,000 points are worked on
at a time.
Source: Breuleux et al. 2011, "Quickly generating representative samples from an RBM-derived process"; for GANs
Goodfellow et al. 2014, section 5, table 1 (arXiv:1406.2661), and the grid of σ from their published code. Doubts:
Theis et al. 2016, "A note on the evaluation of generative models" (arXiv:1511.01844).
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ganduel.errors import UserError
from ganduel.metric.functional.check import checked
from ganduel.metric.functional.distance import BLOCK, squared_distances

SIGMAS = tuple(10 ** (i / 9 - 1) for i in range(10))  # logspace(-1, 0, 10): from 0.1 to 1


def parzen_log_likelihood(
    samples: Float[Tensor, "n d"], points: Float[Tensor, "n_points d"], sigma: float
) -> Float[Tensor, " n_points"]:
    """Log p of each point, in nats."""
    return log_likelihoods(samples, points, [sigma])[0]


def choose_sigma(
    samples: Float[Tensor, "n d"], validation: Float[Tensor, "n_points d"], sigmas: Sequence[float] = SIGMAS
) -> float:
    """The σ under which the validation points have the greatest mean log p; of equals, the first."""
    best = log_likelihoods(samples, validation, sigmas).mean(1).argmax()
    return float(sigmas[int(best)])


def log_likelihoods(
    samples: Float[Tensor, "n d"], points: Float[Tensor, "n_points d"], sigmas: Sequence[float]
) -> Float[Tensor, "n_sigmas n_points"]:
    """Log p of each point under each σ; distances, the costly part, are computed once."""
    wrong = [sigma for sigma in sigmas if not 0 < sigma < math.inf]
    if wrong or len(sigmas) == 0:
        raise UserError(f"sigma={wrong[0] if wrong else 'nothing'} is no width of a Gaussian. Try 0.1 to 1 for pixels.")
    samples, points = checked(1, samples=samples, points=points)
    widths = points.new_tensor(sigmas)
    volume = math.log(len(samples)) + samples.shape[1] * (widths * math.sqrt(2 * math.pi)).log()
    blocks = []
    for rows in points.split(BLOCK):
        square, _ = squared_distances(rows, samples)
        blocks.append(torch.stack([torch.logsumexp(square / (-2 * sigma**2), 1) for sigma in sigmas]))
    return torch.cat(blocks, 1) - volume[:, None]
