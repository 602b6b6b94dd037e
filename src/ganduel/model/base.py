"""What the two networks are: G maps noise to samples, D maps samples to one logit each.

Any `torch.nn.Module` with D's signature serves as a discriminator. A generator also says what noise it takes.
"""

import math
from abc import ABC, abstractmethod
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import nn

from ganduel.errors import UserError
from ganduel.types import Logits, Noise, Samples

NoiseDistribution = Literal["normal", "uniform"]


class Generator(nn.Module, ABC):
    """G(z): noise (batch, noise_dim) → samples (batch, *shape).

    Args:
        noise_dim: the dimension of z.
        noise: p(z), "normal" for N(0, 1) or "uniform" for U(−√3, √3) in each coordinate: both of unit variance.
    """

    def __init__(self, noise_dim: int, noise: NoiseDistribution = "normal"):
        super().__init__()
        if noise_dim < 1:
            raise UserError(f"model.generator.noise_dim={noise_dim}: noise needs at least one dimension. Try 64.")
        if noise not in ("normal", "uniform"):
            raise UserError(f"model.generator.noise={noise} is not known. There are: normal, uniform.")
        self.noise_dim = noise_dim
        self.noise = noise

    def draw(self, n: int, rng: torch.Generator) -> Noise:
        """N draws from p(z), on the device of the generator of random numbers."""
        if self.noise == "normal":
            return torch.randn(n, self.noise_dim, generator=rng, device=rng.device)
        bound = math.sqrt(3)
        return torch.empty(n, self.noise_dim, device=rng.device).uniform_(-bound, bound, generator=rng)

    @abstractmethod
    def forward(self, z: Noise) -> Samples: ...


class Discriminator(nn.Module, ABC):
    """D: samples (batch, *shape) → logits (batch,); sigmoid(logit) is the probability of being real."""

    @abstractmethod
    def forward(self, x: Samples) -> Logits: ...


@runtime_checkable
class Reseeded(Protocol):
    """A layer that draws at random in training, from what it is told before each update: see ganduel.model.dropout."""

    def reseed(self, key: tuple[int | str, ...], batch_size: int, share: slice) -> None:
        """What the draws follow from, samples a minibatch over all ranks, and which of its rows are this rank's."""


def reseeded(**networks: nn.Module) -> dict[str, Reseeded]:
    """The layers of the networks that are to be told, by their names."""
    return {
        f"{network}.{name}": layer
        for network, net in networks.items()
        for name, layer in net.named_modules()
        if isinstance(layer, Reseeded)
    }


def uses_batch_statistics(net: nn.Module) -> bool:
    """Whether a sample's output depends on the rest of its batch, through a BatchNorm."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules())
