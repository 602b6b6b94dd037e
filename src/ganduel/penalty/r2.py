r"""R2: D is to be flat around what is generated.

    P = γ/2 · E[‖∇_x D(x)‖²]        x = G(z); D(x) here the logit; ‖·‖² summed over all of a sample's values

R1 at generated samples. For a linear D(x) = w·x + c it is γ/2 · |w|². Alone it leads to local convergence as R1 does;
a relativistic loss needs both where p_data and p_g do not overlap yet (Huang et al. 2024, section 2.4).
Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually converge?", section 4.1,
equation 10 (arXiv:1801.04406); Huang et al. 2024, "The GAN is dead; long live the GAN!", equation 3 (arXiv:2501.05441).
"""

from collections.abc import Callable

from ganduel.batch import Minibatch
from ganduel.penalty.base import SlopePenalty, check_weight, slopes
from ganduel.types import Samples, Scalar


class R2(SlopePenalty):
    """Zero-centred gradient penalty on generated samples."""

    def __init__(self, gamma: float = 10.0, every: int = 1):
        super().__init__(every)
        check_weight(self, gamma=gamma)
        self.gamma = gamma

    def forward(self, net: Callable, b: Minibatch, fake: Samples) -> Scalar:
        return self.gamma / 2 * slopes(net, fake, b.fake_labels).square().sum(1).mean()
