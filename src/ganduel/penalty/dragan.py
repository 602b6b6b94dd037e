r"""DRAGAN: D is to have slope 1 around the data.

    P = weight · E[(‖∇D(x̂)‖ − 1)²]      x̂ = x + α · ½ σ · u,   α ~ U(0, 1) for each sample, u ~ U(0, 1) for each value

σ is the standard deviation of all values of the minibatch. For a linear D(x) = w·x + c it is weight · (|w| − 1)². The
paper writes N(0, c) for the disturbance; that above is its published code's, which later comparisons use.
Source: Kodali, Abernethy, Hays, Kira 2017, "On convergence and stability of GANs", weight 10 (arXiv:1705.07215);
github.com/kodalinaveen3/DRAGAN.
"""

from collections.abc import Callable

from ganduel.batch import Minibatch
from ganduel.penalty.base import SlopePenalty, check_weight, slopes, uniform_per_sample
from ganduel.ranks import mean_over_ranks
from ganduel.types import Samples, Scalar


class Dragan(SlopePenalty):
    """The distance of D's slope from 1, near real samples."""

    bounds_slope = True

    def __init__(self, weight: float = 10.0, every: int = 1):
        super().__init__(every)
        check_weight(self, weight=weight)
        self.weight = weight

    def forward(self, net: Callable, b: Minibatch, fake: Samples) -> Scalar:
        mean = mean_over_ranks(b.real.mean())
        sigma = mean_over_ranks((b.real - mean).square().mean()).sqrt()
        alpha = uniform_per_sample(b)
        x = b.real + alpha * sigma / 2 * b.draws.uniform(b.real)
        return self.weight * (slopes(net, x, b.labels).norm(dim=1) - 1).square().mean()
