r"""WGAN-GP: D is to have slope 1 between real and generated samples.

    P = weight · E[(‖∇D(x̂)‖ − target)²]                 x̂ = α x + (1 − α) G(z),  α ~ U(0, 1), one for each sample
    P = weight · E[max(0, ‖∇D(x̂)‖ − target)²]           one_sided=true

‖·‖ is over all of a sample's values together. For a linear D(x) = w·x + c it is weight · (|w| − target)². With the
Wasserstein loss the best 1-Lipschitz D has slope 1 on all lines that mass is moved along (proposition 1 of the paper).
With target=0 it is zero-centred, as R1 is. Class labels are those of the real samples.
Source: Gulrajani et al. 2017, "Improved training of Wasserstein GANs", equation 3, weight 10 (arXiv:1704.00028), with
the one-sided form in section 4; Petzka et al. 2018, "On the regularization of Wasserstein GANs" (arXiv:1709.08894).
"""

from collections.abc import Callable

from ganduel.batch import Minibatch
from ganduel.penalty.base import SlopePenalty, check_weight, slopes, uniform_per_sample
from ganduel.types import Samples, Scalar


class GradientPenalty(SlopePenalty):
    """The distance of D's slope from a target, between real and generated samples."""

    bounds_slope = True

    def __init__(self, weight: float = 10.0, target: float = 1.0, one_sided: bool = False, every: int = 1):
        super().__init__(every)
        check_weight(self, weight=weight, target=target)
        self.weight, self.target, self.one_sided = weight, target, one_sided

    def forward(self, net: Callable, b: Minibatch, fake: Samples) -> Scalar:
        alpha = uniform_per_sample(b)
        excess = slopes(net, alpha * b.real + (1 - alpha) * fake, b.labels).norm(dim=1) - self.target
        return self.weight * (excess.relu() if self.one_sided else excess).square().mean()
