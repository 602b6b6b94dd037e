r"""The Wasserstein loss: D estimates how far generated samples have to be moved to become real ones.

    L_D = −E[a] + E[b]          a, b = D's output for real and generated samples, any number
    L_G = −E[b]

Over all D that are 1-Lipschitz, |D(x) − D(y)| ≤ ‖x − y‖, the largest E[a] − E[b] is the distance W₁(p_data, p_g)
(equation 2 of the paper, by Kantorovich and Rubinstein), in the unit of samples: 0 with p_g = p_data. Without a bound
on D's slope there is no largest one, and D grows without end. A constant added to D changes nothing in L_D: its output
has neither a threshold nor a scale of its own. The slope ∂L_G/∂b is −1 wherever the sample is.

What bounds D: penalty=[clip_weights], as in the paper; penalty=[gradient_penalty]; model.discriminator.norm=spectral.
Source: Arjovsky, Chintala, Bottou 2017, "Wasserstein GAN", equation 3 and Algorithm 1 (arXiv:1701.07875).
"""

import logging
from collections.abc import Collection
from functools import cache

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ganduel.loss.base import LogitLoss
from ganduel.types import Logits, Scalar


class Wasserstein(LogitLoss):
    """min −E[D(G(z))], against a D of bounded slope."""

    def check(self, discriminator: nn.Module, penalties: Collection[nn.Module]) -> None:
        bounded = any(getattr(penalty, "bounds_slope", False) for penalty in penalties)
        if not bounded and not any(map(is_parametrized, discriminator.modules())):
            warn_of_unbounded_discriminator()

    def statistics(self, real: Logits, fake: Logits) -> dict[str, Scalar]:
        """Those of any loss, and wasserstein/estimate = E[a] − E[b], at most K · W₁ for a K-Lipschitz D."""
        return super().statistics(real, fake) | {"wasserstein/estimate": real.mean() - fake.mean()}

    def d_real(self, a: Tensor) -> Tensor:
        return -a

    def d_fake(self, b: Tensor) -> Tensor:
        return b

    def g_fake(self, b: Tensor) -> Tensor:
        return -b


@cache  # of the many members of a population it is said once
def warn_of_unbounded_discriminator() -> None:
    logging.getLogger("ganduel").warning(
        "loss=wasserstein: nothing keeps D's slope bounded, and it will grow without end. Use "
        "penalty=[gradient_penalty], penalty=[clip_weights] or a D with norm=spectral."
    )
