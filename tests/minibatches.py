"""Minibatches for penalties that are tested alone."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganduel.batch import Minibatch
from ganduel.rng import Draws


def minibatch(real: Tensor, labels: Tensor | None = None, noise: Tensor | None = None, seed: int = 0) -> Minibatch:
    """Real samples as the update sees them; the noise is not a number unless it is given."""
    draws = Draws("cpu", len(real))
    draws.seed("test", seed)
    noise = torch.full((len(real), 2), float("nan"), dtype=real.dtype) if noise is None else noise
    return Minibatch(real, labels, noise, labels, draws)


def critic(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """D as the function of samples and labels that a penalty is called with."""
    return lambda x, y=None: function(x) if y is None else function(x, y)
