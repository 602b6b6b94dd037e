"""StyleGAN2: noise is mapped to a style, which scales the channels of every convolution of G.

    G: z → z / √mean z² → [Linear (noise_dim), act] × mapping_layers → w
       constant (c₁, h, h') → styled 3×3                              at the smallest size
         → [styled 3×3 ↑ → styled 3×3 (c, …)]                         at each further one, up to (c, H, W)
       image = Σ over sizes of ↑ … ↑ (modulated 1×1 → C)              skip connections; no demodulation, no tanh
       styled: modulated convolution, + strength · noise, + bias, act
    D: x → 1×1 (c, H, W), act
         → [(3×3, act, 3×3 ↓, act)(x) + 1×1(↓x)] / √2                 from each size to the next
         → minibatch standard deviation → 3×3, act → Linear (c₁), act → Linear → logit
    c = width of the size (ganduel.model.width), act = √2 LeakyReLU 0.2, ↑ ↓ by [1, 3, 3, 1] (ganduel.model.resample),
    equalised learning rate in all layers, times 0.01 in the mapping network

    noise    one N(0, 1) value per pixel and sample, from the iteration's draws in training; in evaluation fixed values
             that belong to the weights, so that a sample is a function of z
    mixing   in training, with this probability a sample's layers from a random one on have the style of another z of
             the same class
    truncation ψ    w ← w̄ + ψ (w − w̄), w̄ the mean of w: Karras et al. 2019, section 2.1, appendix B (arXiv:1812.04948);
             here over 10,000 z, of all classes where there are some

The smallest size is 4 × 4 for 32 × 32 and 7 × 7 for 28 × 28: halved while both sides are even and stay at least 4.
Source: Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", sections 2 and 4, appendix B
(arXiv:1912.04958), config F with z of 512: base_width=32768, max_width=512. Its code mixes styles at one layer for a
whole minibatch, and this at one for each sample. Class labels are left out.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from ganduel.errors import UserError
from ganduel.model.base import Discriminator, Generator, copied
from ganduel.model.equalised import Activation, EqualisedConv2d, EqualisedLinear, activate
from ganduel.model.image_size import pyramid
from ganduel.model.minibatch_std import MinibatchStd
from ganduel.model.modulated import ModulatedConv2d
from ganduel.model.resample import blur, double, halve
from ganduel.model.width import widths_of
from ganduel.rng import Draws, KeyedRandom
from ganduel.types import Logits, Noise, Samples


class StyleGAN2Generator(Generator, KeyedRandom):
    """A mapping network and a synthesis network."""

    psi = 1.0
    mean_style: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        noise_dim: int = 512,
        mapping_layers: int = 8,
        base_width: int = 32768,
        max_width: int = 512,
        mixing: float = 0.9,
    ):
        super().__init__(noise_dim)
        if mapping_layers < 0:
            raise UserError(
                f"model.generator.mapping_layers={mapping_layers} must be at least 0. It is 8 in the paper."
            )
        if not 0 <= mixing <= 1:
            raise UserError(f"model.generator.mixing={mixing} is a probability: from 0 to 1.")
        self.mixing, sizes = mixing, pyramid("stylegan2", shape)
        widths = widths_of("model.generator", sizes, base_width, max_width)
        linears = [(EqualisedLinear(noise_dim, noise_dim, 0.01), Activation()) for _ in range(mapping_layers)]
        self.mapping = nn.Sequential(PixelNorm(), *(part for pair in linears for part in pair))
        self.constant = nn.Parameter(torch.randn(widths[0], *sizes[0]))
        layers = [StyledConv2d(widths[0], widths[0], noise_dim, sizes[0])]
        for (fan_in, width), size in zip(pairwise(widths), sizes[1:], strict=True):
            layers += [
                StyledConv2d(fan_in, width, noise_dim, size, up=True),
                StyledConv2d(width, width, noise_dim, size),
            ]
        self.layers = nn.ModuleList(layers)
        self.to_image = nn.ModuleList(ToImage(width, shape[0], noise_dim) for width in widths)

    def forward(self, z: Noise) -> Samples:
        styles = self.styles(z)
        x = self.layers[0](self.constant.expand(z.shape[0], *self.constant.shape), styles[0])
        image = self.to_image[0](x, styles[1])
        for i, to_image in enumerate(list(self.to_image)[1:], 1):  # layers 2i − 1 and 2i are at this size
            x = self.layers[2 * i](self.layers[2 * i - 1](x, styles[2 * i - 1]), styles[2 * i])
            image = double(image) + to_image(x, styles[2 * i + 1])
        return image

    @torch.no_grad()
    def truncated(self, truncation: float, z: Noise | None = None) -> "Generator":
        """A copy whose styles are nearer to their mean: at 0 all samples are one, at 1 they are as they were."""
        if not 0 <= truncation <= 1:
            raise UserError(f"truncation={truncation}: StyleGAN2's ψ is from 0, the mean style, to 1. Try 0.7.")
        copy = copied(self)
        copy.psi = truncation
        z = self.draw(10_000, torch.Generator()) if z is None else z
        copy.register_buffer("mean_style", self.mapping(z.to(self.constant)).mean(0), persistent=False)
        return copy

    def styles(self, z: Noise) -> list[Tensor]:
        """The style of each layer, (batch, noise_dim): layer i's is the i-th, and that of an image the next layer's."""
        w, n = self.mapping(z), 2 * len(self.to_image)
        if self.psi != 1:
            w = self.mean_style.lerp(w, self.psi)
        if not (self.training and self.mixing):
            return [w] * n
        draws, drawn = draws_of(self), z.shape[1] - self.class_dim
        other = self.mapping(torch.cat([draws.normal(z[:, :drawn]), z[:, drawn:]], 1))
        mix, place = draws.uniform(z.detach()[:, :1].repeat(1, 2)).unbind(1)
        first = torch.where(mix < self.mixing, 1 + (place * (n - 1)).floor(), n)[:, None]  # of the other style's layers
        return [torch.where(first > i, w, other) for i in range(n)]


class StyleGAN2Discriminator(Discriminator):
    """Residual blocks, each of which halves the size."""

    def __init__(
        self, shape: Sequence[int], base_width: int = 32768, max_width: int = 512, minibatch_std_group: int = 4
    ):
        super().__init__()
        self.mixes_samples = minibatch_std_group > 1
        sizes = pyramid("stylegan2", shape)
        widths = widths_of("model.discriminator", sizes, base_width, max_width)[::-1]
        last = widths[-1]
        self.net = nn.Sequential(
            EqualisedConv2d(shape[0], widths[0], 1),
            Activation(),
            *(DownBlock(a, b) for a, b in pairwise(widths)),
            MinibatchStd(minibatch_std_group),
            EqualisedConv2d(last + 1, last, 3, padding=1),
            Activation(),
            nn.Flatten(),
            EqualisedLinear(last * prod(sizes[0]), last),
            Activation(),
            EqualisedLinear(last, 1),
        )

    def forward(self, x: Samples) -> Logits:
        return self.net(x).squeeze(1)


class PixelNorm(nn.Module):
    """Scales each sample to a mean square of 1."""

    def forward(self, z: Tensor) -> Tensor:
        return z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class PixelNoise(nn.Module, KeyedRandom):
    """Adds a value to each pixel, the same in all channels; the strength is learnt from 0 on."""

    fixed: Tensor

    def __init__(self, size: tuple[int, int]):
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("fixed", torch.randn(size))

    def forward(self, x: Tensor) -> Tensor:
        noise = draws_of(self).normal(x.detach()[:, :1]) if self.training else self.fixed.to(x.dtype)
        return x + self.strength.to(x.dtype) * noise


class StyledConv2d(nn.Module):
    """A modulated convolution with noise, bias and activation."""

    def __init__(self, fan_in: int, width: int, style_dim: int, size: tuple[int, int], up: bool = False):
        super().__init__()
        self.conv = ModulatedConv2d(fan_in, width, 3, style_dim, up)
        self.noise, self.bias = PixelNoise(size), nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = self.noise(self.conv(x, w))
        return activate(x + self.bias.to(x.dtype))


class ToImage(nn.Module):
    """Feature maps to an image's channels."""

    def __init__(self, width: int, channels: int, style_dim: int):
        super().__init__()
        self.conv = ModulatedConv2d(width, channels, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = self.conv(x, w)
        return x + self.bias.to(x.dtype)


class DownBlock(nn.Module):
    """A residual block of D: (batch, fan_in, 2h, 2w) → (batch, width, h, w)."""

    def __init__(self, fan_in: int, width: int):
        super().__init__()
        self.first = EqualisedConv2d(fan_in, fan_in, 3, padding=1)
        self.second = EqualisedConv2d(fan_in, width, 3, stride=2)
        self.shortcut = EqualisedConv2d(fan_in, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = activate(self.second(blur(activate(self.first(x)), padding=2)))
        return (h + self.shortcut(halve(x))) / 2**0.5


def draws_of(layer: KeyedRandom) -> Draws:
    """The draws that it has been given."""
    if layer.draws is None:
        raise UserError("StyleGAN2's G draws noise and styles from an iteration's draws: set `draws`, or call eval().")
    return layer.draws
