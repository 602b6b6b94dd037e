"""Fully connected networks, for samples of any shape.

    G: z → [Linear, norm, activation] × len(hidden) → Linear → output → sample of the data's shape
    D: x → flatten → [Linear, norm, activation] × len(hidden) → Linear → logit

Layers start as torch's `Linear` does: U(−1/√fan_in, 1/√fan_in). Where a BatchNorm follows, the Linear keeps its bias.
Source: Goodfellow et al. 2014, "Generative Adversarial Nets", section 5, used multilayer perceptrons on MNIST;
LeakyReLU with slope 0.2 in both networks is of Radford et al. 2015 (arXiv:1511.06434) and its many descendants.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganduel.errors import UserError, nearest
from ganduel.model.base import Discriminator, Generator, NoiseDistribution
from ganduel.types import Logits, Noise, Samples

Activation = Literal["leaky_relu", "relu", "elu", "silu", "gelu", "tanh"]
Output = Literal["auto", "tanh", "sigmoid", "identity"]
Norm = Literal["none", "batch", "layer", "spectral"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}


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
    ):
        super().__init__(noise_dim, noise)
        check("model.generator", hidden, activation, norm)
        if output not in get_args(Output):
            raise UserError(f"model.generator.output={output} is not known. {nearest(output, get_args(Output))}")
        if output == "auto":
            output = "tanh" if len(shape) == 3 else "identity"
        self.net = nn.Sequential(
            *stack([noise_dim, *hidden], activation, norm),
            linear([noise_dim, *hidden][-1], math.prod(shape), norm),
            OUTPUTS[output](),
            nn.Unflatten(1, tuple(shape)),
        )

    def forward(self, z: Noise) -> Samples:
        return self.net(z)


class MLPDiscriminator(Discriminator):
    """A fully connected D."""

    def __init__(
        self,
        shape: Sequence[int],
        hidden: Sequence[int] = (512, 512),
        activation: Activation = "leaky_relu",
        norm: Norm = "none",
    ):
        super().__init__()
        check("model.discriminator", hidden, activation, norm)
        widths = [math.prod(shape), *hidden]
        self.net = nn.Sequential(nn.Flatten(), *stack(widths, activation, norm), linear(widths[-1], 1, norm))

    def forward(self, x: Samples) -> Logits:
        return self.net(x).squeeze(1)


def stack(widths: Sequence[int], activation: str, norm: Norm) -> list[nn.Module]:
    """The hidden layers between the given widths."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers.append(linear(fan_in, fan_out, norm))
        if norm == "batch":
            layers.append(nn.BatchNorm1d(fan_out))
        elif norm == "layer":
            layers.append(nn.LayerNorm(fan_out))
        layers.append(ACTIVATIONS[activation]())
    return layers


def linear(fan_in: int, fan_out: int, norm: Norm) -> nn.Module:
    """A Linear layer, its largest singular value held at 1 where the norm is spectral."""
    layer = nn.Linear(fan_in, fan_out)
    return spectral_norm(layer) if norm == "spectral" else layer


def check(network: str, hidden: Sequence[int], activation: str, norm: str) -> None:
    """Refuse what no network can be built from."""
    for width in hidden:
        if width < 1:
            raise UserError(f"{network}.hidden={list(hidden)}: a width of {width} leaves no layer. Widths start at 1.")
    for key, value, choices in (("activation", activation, ACTIVATIONS), ("norm", norm, get_args(Norm))):
        if value not in choices:
            raise UserError(f"{network}.{key}={value} is not known. {nearest(value, choices)}")
