"""DCGAN: strided convolutions in D, transposed ones in G, without pooling and without fully connected hidden layers.

    G: z → Linear → (8w, h, w')                                 BN ReLU      h × w' the smallest size: 4 × 4 of 64 × 64
         → ConvT 4w (2h, 2w') → ConvT 2w → ConvT w              BN ReLU each
         → ConvT C (C, H, W)                                    tanh
    D: x → Conv w (H/2, W/2)                                    LeakyReLU 0.2
         → Conv 2w → Conv 4w → Conv 8w (h, w')                  BN LeakyReLU 0.2 each
         → Linear → logit
    w = `width`; Conv and ConvT of `kernel` × `kernel` with stride 2; weights N(0, 0.02²), biases 0

That is for images of 64 × 64. Others are halved while both sides are even and stay at least 4: 28 → 14 → 7, 32 → 4 in
three stages, 128 → 4 in five. Widths double from w to at most 8w. The first layer of G and the last of D are often
written as 4 × 4 convolutions without padding, which is the same function.
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
from ganduel.model.image_size import pyramid
from ganduel.model.normalised import Layers, Norm
from ganduel.types import Logits, Noise, Samples

INIT = partial(nn.init.normal_, std=0.02)


class DCGANGenerator(Generator):
    """G for images whose size the stages double exactly; a norm after each layer but the last."""

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
        layers, sizes = Layers(norm, INIT).check("model.generator"), pyramid("dcgan", shape)
        widths, stride = widths_of("model.generator", width, len(sizes) - 1)[::-1], halving("model.generator", kernel)
        up = partial(nn.ConvTranspose2d, **stride, output_padding=kernel % 2)
        first = nn.Linear(noise_dim, widths[0] * prod(sizes[0]), bias=norm != "batch")
        self.net = nn.Sequential(
            layers.plain(first),
            nn.Unflatten(1, (widths[0], *sizes[0])),
            layers.after(widths[0]),
            nn.ReLU(),
            *(part for a, b in pairwise(widths) for part in (layers.normed(up(a, b)), nn.ReLU())),
            layers.plain(up(widths[-1], shape[0])),
            nn.Tanh(),
        )

    def forward(self, z: Noise) -> Samples:
        return self.net(z)


class DCGANDiscriminator(Discriminator):
    """D for the same images; a norm after each convolution but the first."""

    def __init__(self, shape: Sequence[int], width: int = 64, kernel: int = 4, norm: Norm = "batch"):
        super().__init__()
        layers, sizes = Layers(norm, INIT).check("model.discriminator"), pyramid("dcgan", shape)
        widths = widths_of("model.discriminator", width, len(sizes) - 1)
        down = partial(nn.Conv2d, **halving("model.discriminator", kernel))
        self.net = nn.Sequential(
            layers.plain(down(shape[0], widths[0])),
            nn.LeakyReLU(0.2),
            *(part for a, b in pairwise(widths) for part in (layers.normed(down(a, b)), nn.LeakyReLU(0.2))),
            nn.Flatten(),
            layers.plain(nn.Linear(widths[-1] * prod(sizes[0]), 1)),
        )

    def forward(self, x: Samples) -> Logits:
        return self.net(x).squeeze(1)


def widths_of(network: str, width: int, stages: int) -> list[int]:
    """The widths of the stages, from the images' size down."""
    if width < 1:
        raise UserError(f"{network}.width={width} leaves no channel. It is 64 in most papers.")
    return [width * min(2**stage, 8) for stage in range(stages)]


def halving(network: str, kernel: int) -> dict[str, int]:
    """Size, stride and padding of a convolution that halves even sides exactly."""
    if kernel < 2:
        raise UserError(f"{network}.kernel={kernel} with stride 2 leaves pixels out. It is 4 or 5.")
    return {"kernel_size": kernel, "stride": 2, "padding": (kernel - 1) // 2}
