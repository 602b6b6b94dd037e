"""No penalty: Algorithm 1 as it stands in the paper.

    P = 0

Source: Goodfellow et al. 2014, "Generative Adversarial Nets", Algorithm 1 (arXiv:1406.2661).
"""

from collections.abc import Callable

from ganduel.penalty.base import Penalty
from ganduel.types import Logits, Samples, Scalar


class NoPenalty(Penalty):
    """Zero, for any D."""

    active = False

    def __call__(self, discriminator: Callable[[Samples], Logits], real: Samples, fake: Samples) -> Scalar:
        return real.new_zeros(())
