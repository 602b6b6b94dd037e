"""What an augmentation is: a differentiable change of samples that D sees real and generated ones through.

Gradients pass through it to G, and a penalty's second derivatives too. It changes each sample by itself: real and
generated ones may come in one batch. One that draws is a KeyedRandom too, and draws from its `draws`; what it learns,
such as the probability of adaptive augmentation, is a buffer, and so in the checkpoint. The base class is the identity.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganduel.errors import UserError
from ganduel.rng import KeyedRandom
from ganduel.types import Samples


class Augment(nn.Module):
    """Changes samples (batch, *shape) to samples of the same shape; this one leaves them as they are."""

    def __init__(self):
        super().__init__()  # nn.Module's own would take any option of a config

    def forward(self, x: Samples) -> Samples:
        return x

    def check(self, loss: Any, shape: Sequence[int]) -> None:
        """Refuse samples of a shape, or a loss, that the augmentation makes no sense for."""

    def adapt(self, outputs: dict[str, Tensor]) -> None:
        """Adjust the strength after an iteration, from what it returned: the logits of real samples, …

        In place and without reading a value on the host, so that no iteration waits for the device. The logits are of
        this rank's samples: what is kept must be the same on all ranks, as `ganduel.ranks.mean_over_ranks` makes it.
        """

    def statistics(self) -> dict[str, Tensor]:
        """What it has learnt, as numbers under the keys of a row."""
        return {}


class RandomAugment(Augment, KeyedRandom):
    """One whose changes are drawn, for each image apart, in float32 whatever the images are in."""

    def uniform(self, x: Samples, n: int) -> Tensor:
        """N numbers from U(0, 1) for each sample, (batch, n)."""
        assert self.draws is not None
        return self.draws.uniform(torch.empty(len(x), n, device=x.device))

    def normal(self, x: Samples, n: int) -> Tensor:
        """N numbers from N(0, 1), likewise."""
        assert self.draws is not None
        return self.draws.normal(torch.empty(len(x), n, device=x.device))


def check_images(name: str, shape: Sequence[int]) -> None:
    """Refuse samples that are no images."""
    if len(shape) != 3:
        raise UserError(f"augment={name} changes images, and the data's samples are of shape {tuple(shape)}.")
