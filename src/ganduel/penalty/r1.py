r"""R1: D is to be flat around the data.

    P = γ/2 · E[‖∇_x D(x)‖²]        x real; D(x) here the logit; ‖·‖² summed over all of a sample's values

γ has the unit of squared sample units per nat. For a linear D(x) = w·x + c it is γ/2 · |w|². With it, and
with neither instance noise nor Lipschitz bounds, the game converges locally where the unpenalised one may circle.
Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually converge?", section 4.1,
equation 9 (arXiv:1801.04406); γ = 10 in their published code, for images of 128×128 and more.
"""

from collections.abc import Callable

from ganduel.batch import Minibatch
from ganduel.penalty.base import SlopePenalty, check_weight, slopes
from ganduel.types import Samples, Scalar


class R1(SlopePenalty):
    """Zero-centred gradient penalty on real samples."""

    def __init__(self, gamma: float = 10.0, every: int = 1):
        super().__init__(every)
        check_weight(self, gamma=gamma)
        self.gamma = gamma

    def forward(self, net: Callable, b: Minibatch, fake: Samples) -> Scalar:
        return self.gamma / 2 * slopes(net, b.real, b.labels).square().sum(1).mean()
