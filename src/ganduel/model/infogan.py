"""The networks of "Are GANs created equal?", which compares losses on them: those of InfoGAN, without its code.

    G: z → Linear 1024                          BN LeakyReLU 0.2
         → Linear (128, H/4, W/4)               BN LeakyReLU 0.2
         → ConvT 64 (64, H/2, W/2)              BN LeakyReLU 0.2
         → ConvT C (C, H, W)                    tanh
    D: x → Conv 64 (64, H/2, W/2)               LeakyReLU 0.2
         → Conv 128 (128, H/4, W/4)             BN LeakyReLU 0.2
         → Linear 1024                          BN LeakyReLU 0.2
         → Linear → logit
    Conv and ConvT are 4 × 4 with stride 2; weights N(0, 0.02²), biases 0

For images whose sides are multiples of 4. There G ends in a sigmoid, since images are in [0, 1].
Source: Lucic et al. 2018 (arXiv:1711.10337), by its published code, google/compare_gan; after Chen et al. 2016,
"InfoGAN", appendix C.1 (arXiv:1606.03657), whose G has ReLU; z of 64 uniform values.
"""

from collections.abc import Sequence
from functools import partial

from torch import nn

from ganduel.model.base import Discriminator, Generator, NoiseDistribution
from ganduel.model.image_size import sides
from ganduel.model.normalised import Layers, Norm
from ganduel.types import Logits, Noise, Samples

INIT = partial(nn.init.normal_, std=0.02)


class InfoGANGenerator(Generator):
    """Two fully connected layers and two that double the size."""

    def __init__(
        self, shape: Sequence[int], noise_dim: int = 64, noise: NoiseDistribution = "uniform", norm: Norm = "batch"
    ):
        super().__init__(noise_dim, noise)
        layers, (height, width) = Layers(norm, INIT).check("model.generator"), sides("infogan", shape, 4)
        smallest = (128, height // 4, width // 4)
        self.net = nn.Sequential(
            layers.normed(nn.Linear(noise_dim, 1024)),
            nn.LeakyReLU(0.2),
            layers.normed(nn.Linear(1024, 8 * height * width)),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, smallest),
            layers.normed(nn.ConvTranspose2d(128, 64, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            layers.plain(nn.ConvTranspose2d(64, shape[0], 4, 2, 1)),
            nn.Tanh(),
        )

    def forward(self, z: Noise) -> Samples:
        return self.net(z)


class InfoGANDiscriminator(Discriminator):
    """Two layers that halve the size and two fully connected ones."""

    def __init__(self, shape: Sequence[int], norm: Norm = "batch"):
        super().__init__()
        layers, (height, width) = Layers(norm, INIT).check("model.discriminator"), sides("infogan", shape, 4)
        self.net = nn.Sequential(
            layers.plain(nn.Conv2d(shape[0], 64, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            layers.normed(nn.Conv2d(64, 128, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            layers.normed(nn.Linear(8 * height * width, 1024)),
            nn.LeakyReLU(0.2),
            layers.plain(nn.Linear(1024, 1)),
        )

    def forward(self, x: Samples) -> Logits:
        return self.net(x).squeeze(1)
