r"""The Fréchet distance between two sets of features, each taken as a Gaussian.

    FD = |μ_r − μ_f|² + Tr(Σ_r + Σ_f − 2 (Σ_r^½ Σ_f Σ_r^½)^½)

real and fake are (n, d) and (m, d), n, m ≥ 2; the result is ≥ 0 up to rounding, in squared feature units, and 0 for
identical sets. The last term is the sum of the singular values of Σ_r^½ Σ_f^½, taken in float64, so that
covariances without full rank need no added diagonal. Call it FID only on Inception's features.
Source: Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions"; for GANs Heusel et al.
2017 (arXiv:1706.08500).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ganduel.metric.functional.check import checked
from ganduel.types import Scalar


def frechet_distance(real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"]) -> Scalar:
    """FD between the Gaussians that fit the two sets."""
    real, fake = checked(2, real=real, fake=fake)
    overlap = torch.linalg.svdvals(covariance_root(real) @ covariance_root(fake)).sum()
    spread = real.var(0).sum() + fake.var(0).sum() - 2 * overlap
    return (real.mean(0) - fake.mean(0)).square().sum() + spread


def covariance_root(x: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    """Σ^½ of the sample covariance Σ; eigenvalues that are rounding alone count as the zeros that they stand for."""
    centred = x - x.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / (len(x) - 1))
    noise = values.max() * len(values) * torch.finfo(values.dtype).eps
    return (vectors * values.where(values > noise, 0.0).sqrt()) @ vectors.T
