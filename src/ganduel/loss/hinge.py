r"""The hinge loss: D separates real from generated samples by a margin, and learns from those within it alone.

    L_D = E[max(0, 1 − a)] + E[max(0, 1 + b)]       a, b = logits of real and generated samples; never negative
    L_G = −E[b]

The best D is 1 where p_data > p_g and −1 where it is smaller, a sign and no log-odds: L_D = 2 − 2 TV, with the total
variation TV = ½ ∫ |p_data − p_g|. With p_g = p_data L_D = 2, and D is any constant c in [−1, 1]: L_G = −c. The slope
∂L_G/∂b is −1 wherever the sample is.
Source: Lim and Ye 2017, "Geometric GAN" (arXiv:1705.02894); Miyato et al. 2018, "Spectral Normalization for Generative
Adversarial Networks", equations 16 and 17 (arXiv:1802.05957).
"""

from torch import Tensor

from ganduel.loss.base import LogitLoss
from ganduel.types import Logits, Scalar


class Hinge(LogitLoss):
    """min −E[D(G(z))], against a D with a margin."""

    threshold = 0.0

    def statistics(self, real: Logits, fake: Logits) -> dict[str, Scalar]:
        """Those of any loss, and hinge/margin_real, hinge/margin_fake: the shares that D learns nothing from."""
        outside = {"hinge/margin_real": (real >= 1).float().mean(), "hinge/margin_fake": (fake <= -1).float().mean()}
        return super().statistics(real, fake) | outside

    def d_real(self, a: Tensor) -> Tensor:
        return (1 - a).relu()

    def d_fake(self, b: Tensor) -> Tensor:
        return (1 + b).relu()

    def g_fake(self, b: Tensor) -> Tensor:
        return -b
