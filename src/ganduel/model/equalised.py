"""Equalised learning rate: weights are N(0, 1) and scaled in each pass, so that Adam moves all layers at one pace.

    y = act((W x) · m / √fan_in + b · m)        W ~ N(0, 1/m²),  b = 0 (or as given) / m,  m = `multiplier`
    act(x) = √2 · LeakyReLU(x), slope 0.2       which keeps the second moment about as it is

m = 0.01 makes a layer a hundred times as slow: that of StyleGAN's mapping network.
Source: Karras et al. 2018, section 4.1 (arXiv:1710.10196); the multiplier of Karras et al. 2020, appendix B
(arXiv:1912.04958).
"""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, linear


class Activation(nn.Module):
    """LeakyReLU of slope 0.2, times √2."""

    def forward(self, x: Tensor) -> Tensor:
        return activate(x)


def activate(x: Tensor) -> Tensor:
    return leaky_relu(x, 0.2) * 2**0.5


class EqualisedLinear(nn.Module):
    """A Linear layer."""

    def __init__(self, fan_in: int, width: int, multiplier: float = 1.0, bias: float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, fan_in) / multiplier)
        self.bias = nn.Parameter(torch.full((width,), bias / multiplier))
        self.in_features, self.out_features = fan_in, width
        self.scale, self.multiplier = multiplier * fan_in**-0.5, multiplier

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight * self.scale, self.bias * self.multiplier)


class EqualisedConv2d(nn.Module):
    """A convolution that leaves the size as it is, or one without padding."""

    def __init__(self, fan_in: int, width: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, fan_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.scale = prod(self.weight.shape[1:]) ** -0.5
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)
