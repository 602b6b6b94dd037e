"""Layers of a convolutional network and their norm, which is of their outputs or of their weights.

    batch      after a layer: each channel over the samples and pixels of the batch; the layer then has no bias
    layer      after a layer: all channels and pixels of a sample, with a scale and a shift per channel
    spectral   of the weights: the largest singular value is held at 1, by one step of power iteration per pass
    none

Biases start at 0, weights as the network says.
Source: Ioffe and Szegedy 2015 (arXiv:1502.03167); Ba et al. 2016 (arXiv:1607.06450), for images as in Gulrajani et al.
2017 (arXiv:1704.00028), which is a GroupNorm of one group; Miyato et al. 2018 (arXiv:1802.05957).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganduel.errors import UserError, nearest

Norm = Literal["none", "batch", "layer", "spectral"]


@dataclass(frozen=True)
class Layers:
    """How the layers of one network are made.

    Attributes:
        norm: of all layers for which it makes sense.
        init: fills a weight with its initial values, in place.
    """

    norm: Norm
    init: Callable[[Tensor], Any]

    def check(self, network: str) -> "Layers":
        """Refuse a norm that there is not; `network` is the path of its config."""
        if self.norm not in get_args(Norm):
            raise UserError(f"{network}.norm={self.norm} is not known. {nearest(self.norm, get_args(Norm))}")
        return self

    def plain(self, layer: Any) -> nn.Module:
        """A layer that no norm follows."""
        self.init(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        return spectral_norm(layer) if self.norm == "spectral" else layer

    def normed(self, layer: Any) -> nn.Module:
        """A layer and the norm of its outputs."""
        if self.norm == "batch":
            layer.bias = None  # which the norm would take away
        width = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
        return nn.Sequential(self.plain(layer), self.after(width, flat=isinstance(layer, nn.Linear)))

    def after(self, width: int, flat: bool = False) -> nn.Module:
        """The norm of so many channels, of images or flat."""
        if self.norm == "batch":
            return nn.BatchNorm1d(width) if flat else nn.BatchNorm2d(width)
        return nn.GroupNorm(1, width) if self.norm == "layer" else nn.Identity()
