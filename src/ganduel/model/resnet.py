"""Residual networks of SNGAN, of which WGAN-GP's and SAGAN's are settings.

    images below 48 pixels                                images from 48 pixels on
    G: z → Linear (w, h, h')                              z → Linear (2ⁿ w, h, h')
         → UpBlock w, n times (w, H, W)                     → UpBlock 2ⁿ⁻¹ w, … 2w, w (w, H, W)
         → norm, ReLU, conv3×3 → tanh (C, H, W)             → the same
    D: x → InputBlock w ↓, DownBlock w ↓ (w, H/4, W/4)    x → InputBlock w ↓, DownBlock 2w ↓, 4w ↓, …
         → 2 blocks of width w                              → 1 block, again twice as wide
         → ReLU, sum over pixels, Linear → logit            → the same

    n    halvings of the size while both sides are even and stay at least 4: 3 for 32 × 32 and 48 × 48
    ↓    halves the size; below 48 pixels at most twice, from there on while both sides are even and the shorter above 4
    w    `width`; null: on the left 256 in G and 128 in D, on the right 64; nothing is wider than 16w

The left is table 4 for 32 × 32. The right is table 5 for 48 × 48 (G 512, 256, 128, 64; D 64 … 1024) and table 6 for 128
× 128; other sizes follow the same rule. Between the two 3 × 3 convolutions a DownBlock is as wide as its input, as in
the published code. WGAN-GP's networks for CIFAR-10 are width=128 in G, norm=none and pool=mean in D. `attention` is the
shorter side of the feature maps that self-attention follows, 32 in SAGAN, whose G has spectral norm besides BatchNorm;
here it has one or the other.
Source: Miyato et al. 2018, appendix B (arXiv:1802.05957), z ~ N(0, 1) of 128; Gulrajani et al. 2017, appendix
(arXiv:1704.00028); Zhang et al. 2019 (arXiv:1805.08318).
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Literal, get_args

from torch import nn

from ganduel.errors import UserError, nearest
from ganduel.model.attention import SelfAttention
from ganduel.model.base import Discriminator, Generator, NoiseDistribution
from ganduel.model.image_size import pyramid
from ganduel.model.normalised import Layers, Norm
from ganduel.model.residual import GLOROT, DownBlock, InputBlock, UpBlock
from ganduel.types import Logits, Noise, Samples

Pool = Literal["sum", "mean"]
LARGE = 48  # pixels of the shorter side


class ResNetGenerator(Generator):
    """A fully connected layer and blocks that double the size."""

    def __init__(
        self,
        shape: Sequence[int],
        noise_dim: int = 128,
        noise: NoiseDistribution = "normal",
        width: int | None = None,
        norm: Norm = "batch",
        attention: int | None = None,
    ):
        super().__init__(noise_dim, noise)
        layers, sizes = Layers(norm, GLOROT).check("model.generator"), pyramid("resnet", shape)
        large, n = min(shape[1:]) >= LARGE, len(sizes) - 1
        width = checked_width("model.generator", width, 64 if large else 256)
        widths = [width * min(2 ** (n - i), 16) if large else width for i in range(n + 1)]
        blocks: list[nn.Module] = [UpBlock(a, b, norm) for a, b in pairwise(widths)]
        attend("model.generator", attention, layers, blocks, widths[1:], [min(size) for size in sizes[1:]])
        self.net = nn.Sequential(
            layers.plain(nn.Linear(noise_dim, widths[0] * prod(sizes[0]))),
            nn.Unflatten(1, (widths[0], *sizes[0])),
            *blocks,
            layers.after(widths[-1]),
            nn.ReLU(),
            layers.plain(nn.Conv2d(widths[-1], shape[0], 3, padding=1)),
            nn.Tanh(),
        )

    def forward(self, z: Noise) -> Samples:
        return self.net(z)


class ResNetDiscriminator(Discriminator):
    """Blocks that halve the size, blocks that do not, and a sum or mean over pixels."""

    def __init__(
        self,
        shape: Sequence[int],
        width: int | None = None,
        norm: Norm = "spectral",
        attention: int | None = None,
        pool: Pool = "sum",
    ):
        super().__init__()
        layers = Layers(norm, GLOROT).check("model.discriminator")
        if pool not in get_args(Pool):
            raise UserError(f"model.discriminator.pool={pool} is not known. {nearest(pool, get_args(Pool))}")
        pyramid("resnet", shape)
        large = min(shape[1:]) >= LARGE
        width, sizes = checked_width("model.discriminator", width, 64 if large else 128), halved(shape, large)
        widths = [width * min(2**i, 16) if large else width for i in range(len(sizes) + (1 if large else 2))]
        blocks: list[nn.Module] = [InputBlock(shape[0], width, norm)]
        blocks += [DownBlock(a, b, norm, down=i < len(sizes)) for i, (a, b) in enumerate(pairwise(widths), 1)]
        attend("model.discriminator", attention, layers, blocks, widths, [min(size) for size in sizes])
        self.blocks, self.last = nn.Sequential(*blocks), layers.plain(nn.Linear(widths[-1], 1))
        self.pool = pool

    def forward(self, x: Samples) -> Logits:
        h = self.blocks(x).relu()
        return self.last(h.sum((2, 3)) if self.pool == "sum" else h.mean((2, 3))).squeeze(1)


def halved(shape: Sequence[int], large: bool) -> list[tuple[int, int]]:
    """The sizes of D's feature maps."""
    sizes = [(shape[1] // 2, shape[2] // 2)]
    while all(side % 2 == 0 for side in sizes[-1]) and (min(sizes[-1]) > 4 if large else len(sizes) < 2):
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def checked_width(network: str, width: int | None, published: int) -> int:
    """The width, or the published one for null."""
    if width is not None and width < 1:
        raise UserError(f"{network}.width={width} leaves no channel. Use null for the paper's {published}.")
    return published if width is None else width


def attend(
    network: str, side: int | None, layers: Layers, blocks: list[nn.Module], widths: Sequence[int], sides: list[int]
) -> None:
    """Let self-attention follow the first block whose feature maps have that side; `sides` are in the blocks' order."""
    if side is None:
        return
    if side not in sides:
        able = ", ".join(map(str, sorted(sides)))
        raise UserError(f"{network}.attention={side}: feature maps have sides of {able}. Use one of these, or null.")
    blocks.insert(sides.index(side) + 1, SelfAttention(layers, widths[sides.index(side)]))
