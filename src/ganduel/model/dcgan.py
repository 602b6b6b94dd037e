"""DCGAN: strided convolutions in D, transposed ones in G, without pooling and without fully connected hidden layers.

    G: z → Linear → (8w, h, w')                                 BN ReLU      h × w' the smallest size: 4 × 4 of 64 × 64
         → ConvT 4w (2h, 2w') → ConvT 2w → ConvT w              BN ReLU each
         → ConvT C (C, H, W)                                    tanh
    D: x → Conv w (H/2, W/2)                                    LeakyReLU 0.2
         → Conv 2w → Conv 4w → Conv 8w (h, w')                  BN LeakyReLU 0.2 each
         → Linear → logit
    w = `width`; Conv and ConvT of `kernel` × `kernel` with stride 2; weights N(0, 0.02²), biases 0

That is for images of 64 × 64. Others are halved until the shorter side has at most 4 pixels, odd sides rounded down,
or up if the kernel is odd: 32 → 16 → 8 → 4, 28 → 14 → 7 → 3 or 4. D's last layer is linear in its last maps, and these
few pixels let it see more than neighbourhoods: with 7 × 7 of them digits come out as strokes that fit locally.
Widths double from w to at most 8w. The first layer of G and the last of D are often written as 4 × 4 convolutions
without padding, which is the same function.
Source: Radford et al. 2015, "Unsupervised representation learning with deep convolutional generative adversarial
networks", sections 3 and 4, figure 1 (arXiv:1511.06434), z of 100 uniform values. In the figure kernels are 5 × 5 and G
is 1024, 512, 256, 128 channels wide (width=128); most implementations since have 4 × 4 and width=64 in both networks.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import prod

from torch import nn

from ganduel.errors import UserError
from ganduel.model.base import Discriminator, Generator, NoiseDistribution
from ganduel.model.image_size import SMALLEST, size_of
from ganduel.model.normalised import Layers, Norm
from ganduel.types import Logits, Noise, Samples

INIT = partial(nn.init.normal_, std=0.02)


class DCGANGenerator(Generator):
    """G; a norm after each layer but the last."""

    def __init__(
        self,
        shape: Sequence[int],
        noise_dim: int = 100,
        noise: NoiseDistribution = "uniform",
        width: int = 64,
        kernel: int = 4,
        norm: Norm = "batch",
    ):
        super().__init__(noise_dim, noise)
        layers, padding = Layers(norm, INIT).check("model.generator"), halving("model.generator", kernel)
        sizes = halved(shape, kernel)[::-1]
        widths = widths_of("model.generator", width, len(sizes) - 1)[::-1]
        first = nn.Linear(noise_dim, widths[0] * prod(sizes[0]), bias=norm != "batch")

        def up(a: int, b: int, size: tuple[int, int]) -> nn.Module:
            odd = ((size[0] + kernel) % 2, (size[1] + kernel) % 2)
            return nn.ConvTranspose2d(a, b, kernel, 2, padding, odd)

        self.net = nn.Sequential(
            layers.plain(first),
            nn.Unflatten(1, (widths[0], *sizes[0])),
            layers.after(widths[0]),
            nn.ReLU(),
            *(
                part
                for (a, b), size in zip(pairwise(widths), sizes[1:], strict=False)
                for part in (layers.normed(up(a, b, size)), nn.ReLU())
            ),
            layers.plain(up(widths[-1], shape[0], sizes[-1])),
            nn.Tanh(),
        )

    def forward(self, z: Noise) -> Samples:
        return self.net(z)


class DCGANDiscriminator(Discriminator):
    """D for the same images; a norm after each convolution but the first."""

    def __init__(self, shape: Sequence[int], width: int = 64, kernel: int = 4, norm: Norm = "batch"):
        super().__init__()
        layers, padding = Layers(norm, INIT).check("model.discriminator"), halving("model.discriminator", kernel)
        sizes = halved(shape, kernel)
        widths = widths_of("model.discriminator", width, len(sizes) - 1)
        down = partial(nn.Conv2d, kernel_size=kernel, stride=2, padding=padding)
        self.net = nn.Sequential(
            layers.plain(down(shape[0], widths[0])),
            nn.LeakyReLU(0.2),
            *(part for a, b in pairwise(widths) for part in (layers.normed(down(a, b)), nn.LeakyReLU(0.2))),
            nn.Flatten(),
            layers.plain(nn.Linear(widths[-1] * prod(sizes[-1]), 1)),
        )

    def forward(self, x: Samples) -> Logits:
        return self.net(x).squeeze(1)


def widths_of(network: str, width: int, stages: int) -> list[int]:
    """The widths of the stages, from the images' size down."""
    if width < 1:
        raise UserError(f"{network}.width={width} leaves no channel. It is 64 in most papers.")
    return [width * min(2**stage, 8) for stage in range(stages)]


def halved(shape: Sequence[int], kernel: int) -> list[tuple[int, int]]:
    """The images' height and width, their halves, …, as `halving` makes them, until the shorter side is at most 4."""
    sizes = [size_of("dcgan", shape)]
    if min(sizes[0]) <= SMALLEST:
        raise UserError(f"model=dcgan halves images, and those of {shape[1]} × {shape[2]} are too small: 5 × 5 can be.")
    while min(sizes[-1]) > SMALLEST:
        height, width = ((side + kernel % 2) // 2 for side in sizes[-1])
        sizes.append((height, width))
    return sizes


def halving(network: str, kernel: int) -> int:
    """The padding with which a convolution of stride 2 halves sides; odd ones it rounds up if the kernel is odd."""
    if kernel < 2:
        raise UserError(f"{network}.kernel={kernel} with stride 2 leaves pixels out. It is 4 or 5.")
    return (kernel - 1) // 2
