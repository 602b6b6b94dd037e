"""Dropout whose masks follow from the run's seed and the place in it, so that resume and ranks need nothing else.

    y = x · mask / (1 − p)      mask 0 with probability p, else 1: in training; so E[y] = x
    y = x                       in evaluation

    mask = bernoulli(1 − p) drawn from the iteration's `draws` (ganduel.rng.Draws)

A mask is drawn for the whole minibatch, and each rank cuts its rows from it. Where one call brings several minibatches,
real samples above generated ones, each has a mask of its own. Torch's global generator is left alone.
Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", of which
scaling in training, as here, is the second form. Inputs and hidden units have rates of their own in Goodfellow et al.
2013 (arXiv:1302.4389).
"""

from torch import Tensor, nn

from ganduel.errors import UserError
from ganduel.rng import KeyedRandom


class Dropout(nn.Module, KeyedRandom):
    """Sets each input to 0 with probability p, of samples (batch, *shape).

    Args:
        p: the probability of being dropped.
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise UserError(f"dropout={p} must be at least 0 and below 1: it is the probability of being dropped.")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mask(x) if self.training else x

    def mask(self, x: Tensor) -> Tensor:
        """The next mask, 0 or 1/(1 − p), in the shape of x."""
        if self.draws is None:
            raise UserError("Dropout draws its masks from an iteration's draws: set `draws` before it, or call eval().")
        return self.draws.bernoulli(x, 1 - self.p) / (1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"
