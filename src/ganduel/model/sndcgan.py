"""The convolutional networks of "Spectral normalization for generative adversarial networks" (SNDCGAN).

    G: z → Linear (512, H/8, W/8)                             BN ReLU
         → ConvT 256 → ConvT 128 → ConvT 64 (64, H, W)        BN ReLU each, 4 × 4 with stride 2
         → Conv C 3 × 3 (C, H, W)                             tanh
    D: x → Conv 64 3 × 3, Conv 64 4 × 4 ↓ (64, H/2, W/2)      LeakyReLU 0.1 after each
         → Conv 128 3 × 3, Conv 128 4 × 4 ↓ (128, H/4, W/4)
         → Conv 256 3 × 3, Conv 256 4 × 4 ↓ (256, H/8, W/8)
         → Conv 512 3 × 3 (512, H/8, W/8)
         → Linear → logit
    ↓: stride 2, all others 1; every layer of D has spectral norm; weights N(0, 0.02²), biases 0

For images whose sides are multiples of 8. The widths are those for width=64, and others in proportion.
Source: Miyato et al. 2018, table 3 (arXiv:1802.05957), z ~ N(0, 1) of 128. The table has nothing between G's Linear and
the first ConvT, which together would be one linear map; BN and ReLU there are of later implementations, as are the
initial weights, of which it says nothing. These (pfnet-research/chainer-gan-lib, google/compare_gan) double D's width
in the 4 × 4 layers already, 64, 128, 128, 256, 256, 512, 512, which are twice as many weights.
"""

from collections.abc import Sequence
from functools import partial

from torch import nn

from ganduel.errors import UserError
from ganduel.model.base import Discriminator, Generator, NoiseDistribution
from ganduel.model.image_size import sides
from ganduel.model.normalised import Layers, Norm
from ganduel.types import Logits, Noise, Samples

INIT = partial(nn.init.normal_, std=0.02)


class SNDCGANGenerator(Generator):
    """A fully connected layer and three that double the size; a norm after each."""

    def __init__(
        self,
        shape: Sequence[int],
        noise_dim: int = 128,
        noise: NoiseDistribution = "normal",
        width: int = 64,
        norm: Norm = "batch",
    ):
        super().__init__(noise_dim, noise)
        layers, (height, breadth) = Layers(norm, INIT).check("model.generator"), sides("sndcgan", shape, 8)
        check_width("model.generator", width)
        smallest = (8 * width, height // 8, breadth // 8)
        self.net = nn.Sequential(
            layers.plain(nn.Linear(noise_dim, height * breadth * width // 8, bias=norm != "batch")),
            nn.Unflatten(1, smallest),
            layers.after(8 * width),
            nn.ReLU(),
            layers.normed(nn.ConvTranspose2d(8 * width, 4 * width, 4, 2, 1)),
            nn.ReLU(),
            layers.normed(nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1)),
            nn.ReLU(),
            layers.normed(nn.ConvTranspose2d(2 * width, width, 4, 2, 1)),
            nn.ReLU(),
            layers.plain(nn.Conv2d(width, shape[0], 3, 1, 1)),
            nn.Tanh(),
        )

    def forward(self, z: Noise) -> Samples:
        return self.net(z)


class SNDCGANDiscriminator(Discriminator):
    """Seven convolutions and a fully connected layer; with norm="batch" or "layer" one after each convolution."""

    def __init__(self, shape: Sequence[int], width: int = 64, norm: Norm = "spectral"):
        super().__init__()
        layers, (height, breadth) = Layers(norm, INIT).check("model.discriminator"), sides("sndcgan", shape, 8)
        check_width("model.discriminator", width)
        convolutions, fan_in = list[nn.Module](), shape[0]
        for wide in (width, 2 * width, 4 * width):
            convolutions += [nn.Conv2d(fan_in, wide, 3, 1, 1), nn.Conv2d(wide, wide, 4, 2, 1)]
            fan_in = wide
        convolutions.append(nn.Conv2d(fan_in, 8 * width, 3, 1, 1))
        self.net = nn.Sequential(
            *(part for layer in convolutions for part in (layers.normed(layer), nn.LeakyReLU(0.1))),
            nn.Flatten(),
            layers.plain(nn.Linear(height * breadth * width // 8, 1)),
        )

    def forward(self, x: Samples) -> Logits:
        return self.net(x).squeeze(1)


def check_width(network: str, width: int) -> None:
    if width < 1:
        raise UserError(f"{network}.width={width} leaves no channel. It is 64 in the paper.")
