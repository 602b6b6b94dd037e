"""Dropout whose masks follow from the run's seed and the place in it, so that resume and ranks need nothing else.

    y = x · mask / (1 − p)      mask 0 with probability p, else 1: in training; so E[y] = x
    y = x                       in evaluation

    mask = bernoulli(1 − p) drawn from (key, call): the key is the update's, of this layer; calls are counted in it

A mask is drawn for the whole minibatch, and each rank cuts its rows from it. Where one call brings several minibatches,
real samples above generated ones, each has a mask of its own. Torch's global generator is left alone.
Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", section 10, which
scales in training as here. Inputs and hidden units have rates of their own in Goodfellow et al. 2013 (arXiv:1302.4389).
"""

from torch import Tensor, nn

from ganduel import rng
from ganduel.errors import UserError


class Dropout(nn.Module):
    """Sets each input to 0 with probability p, of samples (batch, *shape).

    Args:
        p: the share that is dropped.
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise UserError(f"dropout={p} must be at least 0 and below 1: it is the share that is dropped.")
        self.p = p
        self.key: tuple[int | str, ...] | None = None

    def reseed(self, key: tuple[int | str, ...], batch_size: int, share: slice) -> None:
        """Begin an update: what its masks follow from, and this rank's rows of a minibatch."""
        self.key, self.batch_size, self.share, self.calls = key, batch_size, share, 0

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mask(x) if self.training else x

    def mask(self, x: Tensor) -> Tensor:
        """The next mask of this update, 0 or 1/(1 − p), in the shape of x."""
        if self.key is None:
            raise UserError("Dropout draws its masks for an update of a run: call reseed() before it, or eval().")
        stream = rng.generator(*self.key, self.calls, device=x.device)
        self.calls += 1
        rows = len(range(self.batch_size)[self.share])
        minibatches = -(-len(x) // rows)  # rounded up: a D that packs samples has fewer rows
        keep = x.new_empty(minibatches, self.batch_size, *x.shape[1:]).bernoulli_(1 - self.p, generator=stream)
        return keep[:, self.share].flatten(0, 1)[: len(x)] / (1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"
