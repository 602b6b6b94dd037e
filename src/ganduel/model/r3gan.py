"""R3GAN: residual networks without any norm, bilinear resampling and nothing else; with a relativistic loss, R1 and R2.

    G: z → basis · Linear (w₁, h, h')                       basis: one learnt map of each channel
         → [1×1 conv if the width changes, ↑] between stages
         → blocks × b in each stage (w, H, W)
         → 1×1 conv (C, H, W)                               without tanh
    D: x → 1×1 conv (w, H, W)
         → blocks × b in each stage
         → [↓, 1×1 conv if the width changes] between stages
         → depthwise convolution over all of (w₁, h, h') → Linear → logit

    block    x + 1×1(act(grouped 3×3(act(1×1(x)))))         expansion · w channels inside, groups of `group_width`
    act      LeakyReLU 0.2 of x plus a bias per channel; no layer has another bias
    ↑ ↓      ganduel.model.resample
    stages   one for each size, h × h' the smallest: 4 × 4 of 32 × 32, 7 × 7 of 28 × 28

Weights are N(0, gain² / fan_in). The gain is 1, in the first two layers of a block √(2 / 1.04) · L^(−1/4) with L blocks
in the network, and in the last one 0: Fixup for blocks of three layers. G's basis is N(0, 1).

The default is small. The paper's networks for CIFAR-10 and for FFHQ at 256 × 256, of some 20 million weights each, are
base_width=24576, max_width=768, blocks=2.
Source: Huang et al. 2024, "The GAN is dead; long live the GAN! A modern GAN baseline", section 3, config E, and
appendix D (arXiv:2501.05441), z ~ N(0, 1) of 64; Zhang et al. 2019, "Fixup initialization" (arXiv:1901.09321). Our
reading of it: widths follow from `base_width` and `max_width` where the code has a list, groups from `group_width`
where it has a cardinality per stage; the smallest maps may have any size, not only 4 × 4; where maps are resampled,
zeros surround them. Class labels are left out.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ganduel.errors import UserError
from ganduel.model.base import Discriminator, Generator, NoiseDistribution
from ganduel.model.image_size import pyramid
from ganduel.model.resample import double, halve
from ganduel.model.width import widths_of
from ganduel.types import Logits, Noise, Samples

ACTIVATION_GAIN = (2 / (1 + 0.2**2)) ** 0.5


class R3GANGenerator(Generator):
    """Stages from the smallest size to the images'."""

    def __init__(
        self,
        shape: Sequence[int],
        noise_dim: int = 64,
        noise: NoiseDistribution = "normal",
        base_width: int = 1024,
        max_width: int = 128,
        blocks: int = 1,
        expansion: int = 2,
        group_width: int = 16,
    ):
        super().__init__(noise_dim, noise)
        sizes = pyramid("r3gan", shape)
        widths = widths_of("model.generator", sizes, base_width, max_width)
        check_blocks("model.generator", widths, blocks, expansion, group_width)
        layers: list[nn.Module] = [GenerativeBasis(noise_dim, widths[0], sizes[0])]
        for i, width in enumerate(widths):
            if i:
                layers += [*transition(widths[i - 1], width), Double()]
            layers += [Block(width, expansion, group_width, blocks * len(widths)) for _ in range(blocks)]
        self.net = nn.Sequential(*layers, convolution(widths[-1], shape[0]))

    def forward(self, z: Noise) -> Samples:
        return self.net(z)


class R3GANDiscriminator(Discriminator):
    """The same stages in reverse."""

    def __init__(
        self,
        shape: Sequence[int],
        base_width: int = 1024,
        max_width: int = 128,
        blocks: int = 1,
        expansion: int = 2,
        group_width: int = 16,
    ):
        super().__init__()
        sizes = pyramid("r3gan", shape)
        widths = widths_of("model.discriminator", sizes, base_width, max_width)[::-1]
        check_blocks("model.discriminator", widths, blocks, expansion, group_width)
        layers: list[nn.Module] = [convolution(shape[0], widths[0])]
        for i, width in enumerate(widths):
            if i:
                layers += [Halve(), *transition(widths[i - 1], width)]
            layers += [Block(width, expansion, group_width, blocks * len(widths)) for _ in range(blocks)]
        basis = scaled(nn.Conv2d(widths[-1], widths[-1], sizes[0], groups=widths[-1], bias=False))
        self.net = nn.Sequential(*layers, basis, nn.Flatten(), scaled(nn.Linear(widths[-1], 1, bias=False)))

    def forward(self, x: Samples) -> Logits:
        return self.net(x).squeeze(1)


class Block(nn.Module):
    """An inverted bottleneck: wide and grouped inside; the identity at first."""

    def __init__(self, width: int, expansion: int, group_width: int, blocks: int):
        super().__init__()
        inner, gain = expansion * width, ACTIVATION_GAIN * blocks ** (-1 / 4)
        self.net = nn.Sequential(
            convolution(width, inner, gain=gain),
            BiasedActivation(inner),
            scaled(nn.Conv2d(inner, inner, 3, padding=1, groups=inner // group_width, bias=False), gain),
            BiasedActivation(inner),
            convolution(inner, width, gain=0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)


class BiasedActivation(nn.Module):
    """A bias per channel, then LeakyReLU of slope 0.2."""

    def __init__(self, width: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(x + self.bias.to(x.dtype), 0.2)


class GenerativeBasis(nn.Module):
    """Learnt maps, each weighted by a linear function of the noise: (batch, noise_dim) → (batch, width, *size)."""

    def __init__(self, noise_dim: int, width: int, size: tuple[int, int]):
        super().__init__()
        self.basis = nn.Parameter(torch.randn(width, *size))
        self.weights = scaled(nn.Linear(noise_dim, width, bias=False))

    def forward(self, z: Tensor) -> Tensor:
        return self.basis * self.weights(z)[:, :, None, None]


class Double(nn.Module):
    """Twice the size."""

    def forward(self, x: Tensor) -> Tensor:
        return double(x)


class Halve(nn.Module):
    """Half the size."""

    def forward(self, x: Tensor) -> Tensor:
        return halve(x)


def transition(width: int, next_width: int) -> list[nn.Module]:
    """What changes the width between two stages."""
    return [] if width == next_width else [convolution(width, next_width)]


def convolution(fan_in: int, width: int, gain: float = 1.0) -> nn.Module:
    """A 1 × 1 convolution without a bias."""
    return scaled(nn.Conv2d(fan_in, width, 1, bias=False), gain)


def scaled(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Module:
    """The layer with weights N(0, gain² / fan_in)."""
    nn.init.normal_(layer.weight, std=gain / prod(layer.weight.shape[1:]) ** 0.5)
    return layer


def check_blocks(network: str, widths: Sequence[int], blocks: int, expansion: int, group_width: int) -> None:
    """Refuse what leaves no block, or groups that do not divide the channels inside one."""
    for name, value in (("blocks", blocks), ("expansion", expansion), ("group_width", group_width)):
        if value < 1:
            raise UserError(f"{network}.{name}={value} must be at least 1.")
    for width in widths:
        if expansion * width % group_width:
            raise UserError(
                f"{network}.group_width={group_width} does not divide the {expansion * width} channels inside a block "
                f"of width {width}. Use one that does, or another base_width or max_width."
            )
