r"""The kernel distance: the squared maximum mean discrepancy of two sets of features, estimated without bias.

    MMD² = mean_{i≠j} k(r_i, r_j) + mean_{i≠j} k(f_i, f_j) − 2 mean_{i,j} k(r_i, f_j)
    k(x, y) = (γ x·y + c)^p

r_i are the n rows of real, f_i the m rows of fake, both of d features, n, m ≥ 2; p is `degree`, c is `coef`, and γ is
1/d if it is not given. The result is any real number, in the units of k: the estimate is unbiased, so it scatters
around 0 where the distributions are equal, and it is not clamped there, which would bias the mean of several. A set
against itself gives 2/n (mean_{i≠j} k(r_i, r_j) − mean_i k(r_i, r_i)), mostly below 0. With p = 1, c = 0, γ = 1 it is
the squared distance of the means less its bias: |μ_r − μ_f|² − Tr Σ_r / n − Tr Σ_f / m.
All pairs enter, once: nothing is drawn, unlike the average over random subsets that many implementations report. Call
it KID only on Inception's features. BLOCK rows are worked on at a time.
Source: Bińkowski et al. 2018, "Demystifying MMD GANs" (arXiv:1801.01401); the estimator is the unbiased one of Gretton
et al. 2012, "A kernel two-sample test".
"""

from jaxtyping import Float
from torch import Tensor

from ganduel.metric.functional.check import checked
from ganduel.metric.functional.distance import BLOCK
from ganduel.types import Scalar


def kernel_distance(
    real: Float[Tensor, "n d"],
    fake: Float[Tensor, "m d"],
    degree: int = 3,
    gamma: float | None = None,
    coef: float = 1.0,
) -> Scalar:
    """MMD² between the two sets under the polynomial kernel."""
    real, fake = checked(2, real=real, fake=fake)
    gamma = 1 / real.shape[1] if gamma is None else gamma

    def among(x: Tensor) -> Tensor:
        """Mean of k over the pairs of different rows: all, less the diagonal, which alone would bias it."""
        diagonal = (gamma * x.square().sum(1) + coef).pow(degree).sum()
        blocks = x.split(BLOCK)
        on_diagonal = sum(total(rows, rows) for rows in blocks)
        above = sum(total(rows, x[(i + 1) * BLOCK :]) for i, rows in enumerate(blocks))  # and as much below
        return (on_diagonal + 2 * above - diagonal) / (len(x) * (len(x) - 1))

    def total(x: Tensor, y: Tensor) -> Tensor:
        return sum((kernel(rows, y).sum() for rows in x.split(BLOCK)), x.new_zeros(()))

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T).mul_(gamma).add_(coef).pow_(degree)

    return among(real) + among(fake) - 2 * total(real, fake) / (len(real) * len(fake))
