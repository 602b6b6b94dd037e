r"""The relativistic pairing loss: is a real sample more real than the generated one that it is paired with?

    L_D = E[softplus(−(a − b))]         (a, b) = logits of a real and a generated sample, paired as they are drawn
    L_G = E[softplus(−(b − a))]         in nats, never negative

Only differences count: a constant added to D changes nothing, and a logit alone means nothing. a − b estimates the
log-odds that of the pair the first is the real one. With p_g = p_data and the best D every difference is 0: both
losses are log 2. The slope ∂L_G/∂b is −sigmoid(a − b): full where D tells the pair apart, and real samples pull too,
by the same slope with the other sign. G's update therefore needs D over real samples: a pass more.

Alone it need not converge; with R1 or R2 it does locally, and both are needed far from there (R3GAN, section 2.4).
Source: Jolicoeur-Martineau 2018, "The relativistic discriminator", RSGAN (arXiv:1807.00734); Huang, Gokaslan, Kuleshov,
Tompkin 2024, "The GAN is dead; long live the GAN!", equation 2, RpGAN (arXiv:2501.05441).
"""

from torch.nn.functional import softplus

from ganduel.loss.base import Loss
from ganduel.types import Logits, Scalar


class Relativistic(Loss):
    """min E[softplus(D(x) − D(G(z)))]."""

    generator_uses_real = True

    def discriminator(self, real: Logits, fake: Logits) -> Scalar:
        return softplus(fake - real).mean()

    def generator(self, real: Logits | None, fake: Logits) -> Scalar:
        assert real is not None
        return softplus(real - fake).mean()

    def statistics(self, real: Logits, fake: Logits) -> dict[str, Scalar]:
        """Those of any loss; d/accuracy_pair, the share of pairs in which D takes the real one for more real."""
        return super().statistics(real, fake) | {"d/accuracy_pair": (real > fake).float().mean()}
