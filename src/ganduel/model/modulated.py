"""Modulated convolution: a style scales the input channels of its weights, and demodulation scales the outputs back.

    s = A w                                     a scale per input channel, of the style w; A's bias starts at 1
    y_o = d_o · Σ_i W_oi ∗ (s_i x_i)            d_o = 1 / √(Σ_i,k (s_i W_oik)² + 1e-8), so that y_o has unit variance

The inputs and outputs are scaled instead of a copy of the weights for each sample: the same function by an ordinary
convolution, which can be differentiated twice, batched by `vmap` and done in bfloat16. One that doubles the size is a
transposed convolution and the filter [1, 3, 3, 1].
Source: Karras et al. 2020, section 2.2, equations 1 to 3 (arXiv:1912.04958); the form is that of its published code
(`fused_modconv=False`).
"""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

from ganduel.model.equalised import EqualisedLinear
from ganduel.model.resample import blur


class ModulatedConv2d(nn.Module):
    """(batch, fan_in, h, w) and styles (batch, style_dim) → (batch, width, h, w), or twice the size if `up`."""

    def __init__(self, fan_in: int, width: int, kernel: int, style_dim: int, up: bool = False, demodulate: bool = True):
        super().__init__()
        self.style = EqualisedLinear(style_dim, fan_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(width, fan_in, kernel, kernel))
        self.scale = prod(self.weight.shape[1:]) ** -0.5
        self.up, self.demodulate, self.padding = up, demodulate, kernel // 2

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style, weight = self.style(w), self.weight * self.scale
        x = x * style[:, :, None, None].to(x.dtype)
        if self.up:
            x = 4 * blur(conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1)
        else:
            x = conv2d(x, weight, padding=self.padding)
        if self.demodulate:
            norm = (style.square() @ weight.square().sum((2, 3)).T + 1e-8).rsqrt()
            x = x * norm[:, :, None, None].to(x.dtype)
        return x
