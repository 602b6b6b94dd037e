r"""The relativistic average loss: is a sample more real than those of the other kind are on average?

    L_D = E[softplus(−(a − E[b]))] + E[softplus(b − E[a])]      a, b = logits of real and generated samples
    L_G = E[softplus(−(b − E[a]))] + E[softplus(a − E[b])]      in nats, never negative

The means are over the minibatch, of all ranks together. With D̃(x) = sigmoid(a − E[b]) it is cross-entropy on D̃, as in
the standard GAN, for both players. A constant added to D changes nothing. With p_g = p_data and the best D all
logits are equal: both losses are 2 log 2. G's update needs D over real samples: a pass more.
Source: Jolicoeur-Martineau 2018, "The relativistic discriminator", RaSGAN (arXiv:1807.00734).
"""

from torch.nn.functional import softplus

from ganduel.loss.base import Loss
from ganduel.ranks import differentiable_mean_over_ranks
from ganduel.types import Logits, Scalar


class RelativisticAverage(Loss):
    """min E[softplus(E[D(x)] − D(G(z)))] + E[softplus(D(x) − E[D(G(z))])]."""

    generator_uses_real = True

    def discriminator(self, real: Logits, fake: Logits) -> Scalar:
        mean_real, mean_fake = means(real, fake)
        return softplus(mean_fake - real).mean() + softplus(fake - mean_real).mean()

    def generator(self, real: Logits | None, fake: Logits) -> Scalar:
        assert real is not None
        mean_real, mean_fake = means(real, fake)
        return softplus(mean_real - fake).mean() + softplus(real - mean_fake).mean()

    def statistics(self, real: Logits, fake: Logits) -> dict[str, Scalar]:
        """Those of any loss; d/accuracy_real, d/accuracy_fake, where D̃ is on the right side of 1/2."""
        values = super().statistics(real, fake)
        values["d/accuracy_real"] = (real > fake.mean()).float().mean()
        values["d/accuracy_fake"] = (fake < real.mean()).float().mean()
        return values


def means(real: Logits, fake: Logits) -> tuple[Scalar, Scalar]:
    """E[D(x)] and E[D(G(z))], over all ranks."""
    return differentiable_mean_over_ranks(real.mean()), differentiable_mean_over_ranks(fake.mean())
