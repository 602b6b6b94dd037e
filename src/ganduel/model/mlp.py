"""Fully connected networks, for samples of any shape.

    G: z → [Linear, norm, activation] × len(hidden) → Linear → output → sample of the data's shape
    D: x → flatten → dropout → [Linear, norm, activation, dropout] × len(hidden) → Linear → logit

    init         weights                           biases
    default      U(−1/√fan_in, 1/√fan_in)          the same    as torch's `Linear`
    uniform      U(−init_scale, init_scale)        0
    normal       N(0, init_scale²)                 0
    orthogonal   init_scale · Q, QᵀQ or QQᵀ = 1    0           Saxe et al. 2013 (arXiv:1312.6120)

A maxout unit is the largest of `pieces` linear functions: its Linear has width · pieces outputs (Goodfellow et al.
2013, "Maxout networks", arXiv:1302.4389). Where a BatchNorm follows, the Linear keeps its bias.
Source: Goodfellow et al. 2014, "Generative Adversarial Nets", section 5, used multilayer perceptrons on MNIST;
LeakyReLU with slope 0.2 in both networks is of Radford et al. 2015 (arXiv:1511.06434) and its many descendants.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganduel.errors import UserError, nearest
from ganduel.model.base import Discriminator, Generator, NoiseDistribution
from ganduel.model.dropout import Dropout
from ganduel.types import Logits, Noise, Samples

Activation = Literal["leaky_relu", "relu", "elu", "silu", "gelu", "tanh", "maxout"]
Output = Literal["auto", "tanh", "sigmoid", "identity"]
Norm = Literal["none", "batch", "layer", "spectral"]
Init = Literal["default", "uniform", "normal", "orthogonal"]
Pixels = Literal["signed", "unit"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}


class Maxout(nn.Module):
    """The largest of each unit's pieces: (batch, pieces · width) → (batch, width)."""

    def __init__(self, pieces: int):
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.pieces, -1)).max(1).values  # one piece learns, also where two are equal

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"


class UnitRange(nn.Module):
    """From the data's range to that of pixels as intensities: [−1, 1] → [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return (x + 1) / 2


class SignedSigmoid(nn.Module):
    """A sigmoid stretched to the data's range: 2σ(x) − 1, in [−1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x.sigmoid() - 1


OUTPUTS: dict[str, Callable[[], nn.Module]] = {"tanh": nn.Tanh, "sigmoid": SignedSigmoid, "identity": nn.Identity}


class MLPGenerator(Generator):
    """A fully connected G; the output function "auto" is tanh for images, in [−1, 1], and the identity for points."""

    def __init__(
        self,
        shape: Sequence[int],
        noise_dim: int = 64,
        noise: NoiseDistribution = "normal",
        hidden: Sequence[int] = (512, 512, 512),
        activation: Activation = "leaky_relu",
        norm: Norm = "none",
        output: Output = "auto",
        pieces: int = 5,
        init: Init = "default",
        init_scale: float | None = None,
    ):
        super().__init__(noise_dim, noise)
        layers = Layers(activation, norm, pieces, init, init_scale)
        layers.check("model.generator", hidden)
        if output not in get_args(Output):
            raise UserError(f"model.generator.output={output} is not known. {nearest(output, get_args(Output))}")
        if output == "auto":
            output = "tanh" if len(shape) == 3 else "identity"
        self.net = nn.Sequential(
            *layers.stack([noise_dim, *hidden]),
            layers.linear([noise_dim, *hidden][-1], math.prod(shape)),
            OUTPUTS[output](),
            nn.Unflatten(1, tuple(shape)),
        )

    def forward(self, z: Noise) -> Samples:
        return self.net(z)


class MLPDiscriminator(Discriminator):
    """A fully connected D; with pixels="unit" it sees images in [0, 1], where what is dropped is black and not grey."""

    def __init__(
        self,
        shape: Sequence[int],
        hidden: Sequence[int] = (512, 512),
        activation: Activation = "leaky_relu",
        norm: Norm = "none",
        pieces: int = 5,
        init: Init = "default",
        init_scale: float | None = None,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        pixels: Pixels = "signed",
    ):
        super().__init__()
        layers = Layers(activation, norm, pieces, init, init_scale)
        layers.check("model.discriminator", hidden)
        for key, p in (("dropout", dropout), ("input_dropout", input_dropout)):
            if not 0 <= p < 1:
                raise UserError(f"model.discriminator.{key}={p} is the share dropped: at least 0 and below 1.")
        if pixels not in get_args(Pixels):
            raise UserError(f"model.discriminator.pixels={pixels} is not known. {nearest(pixels, get_args(Pixels))}")
        widths = [math.prod(shape), *hidden]
        self.net = nn.Sequential(
            nn.Flatten(),
            *([UnitRange()] if pixels == "unit" else []),
            *([Dropout(input_dropout)] if input_dropout else []),
            *layers.stack(widths, dropout),
            layers.linear(widths[-1], 1),
        )

    def forward(self, x: Samples) -> Logits:
        return self.net(x).squeeze(1)


@dataclass(frozen=True)
class Layers:
    """How the layers of one network are made, by the options of that name."""

    activation: Activation = "leaky_relu"
    norm: Norm = "none"
    pieces: int = 5
    init: Init = "default"
    init_scale: float | None = None

    def check(self, network: str, hidden: Sequence[int]) -> None:
        """Refuse what no network can be built from."""
        for width in hidden:
            if width < 1:
                found = f"{network}.hidden={list(hidden)}"
                raise UserError(f"{found}: a width of {width} leaves no layer. Widths start at 1.")
        for key, choices in (("activation", Activation), ("norm", Norm), ("init", Init)):
            if (value := getattr(self, key)) not in get_args(choices):
                raise UserError(f"{network}.{key}={value} is not known. {nearest(value, get_args(choices))}")
        if self.pieces < 1:
            raise UserError(f"{network}.pieces={self.pieces}: a maxout unit has at least 1, and 5 in the paper.")
        scale = self.init_scale
        if (self.init == "default") != (scale is None):
            found = f"{network}.init={self.init} with {network}.init_scale={'null' if scale is None else scale}"
            raise UserError(f"{found}: uniform, normal and orthogonal have a scale, default has none.")
        if scale is not None and not scale > 0:
            raise UserError(f"{network}.init_scale={scale} must be positive, or all units of a layer stay the same.")

    def stack(self, widths: Sequence[int], dropout: float = 0.0) -> list[nn.Module]:
        """The hidden layers between the given widths."""
        layers: list[nn.Module] = []
        for fan_in, width in pairwise(widths):
            maxout = self.activation == "maxout"
            fan_out = width * self.pieces if maxout else width
            layers.append(self.linear(fan_in, fan_out))
            if self.norm == "batch":
                layers.append(nn.BatchNorm1d(fan_out))
            elif self.norm == "layer":
                layers.append(nn.LayerNorm(fan_out))
            layers.append(Maxout(self.pieces) if maxout else ACTIVATIONS[self.activation]())
            if dropout:
                layers.append(Dropout(dropout))
        return layers

    def linear(self, fan_in: int, fan_out: int) -> nn.Module:
        """A Linear layer, its largest singular value held at 1 where the norm is spectral."""
        layer = nn.Linear(fan_in, fan_out)
        if self.init_scale is not None:
            nn.init.zeros_(layer.bias)
            if self.init == "uniform":
                nn.init.uniform_(layer.weight, -self.init_scale, self.init_scale)
            elif self.init == "normal":
                nn.init.normal_(layer.weight, std=self.init_scale)
            else:
                nn.init.orthogonal_(layer.weight, gain=self.init_scale)
        return spectral_norm(layer) if self.norm == "spectral" else layer
