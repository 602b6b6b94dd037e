"""Residual blocks of G, which double the size, and of D, which may halve it.

    UpBlock      x → conv1×1(↑x) + conv3×3(ReLU(norm(conv3×3(↑ReLU(norm(x))))))         ↑ nearest neighbour
    DownBlock    x → conv1×1(↓x) + ↓conv3×3(ReLU(norm(conv3×3(ReLU(norm(x))))))         ↓ mean of 2 × 2 pixels
    InputBlock   as DownBlock without the first norm and ReLU: its x are images

Where a DownBlock changes neither size nor width, x itself is added. The 1 × 1 convolutions are done at the smaller
size, with the same result. Weights are the uniform ones of Glorot and Bengio, times √2 in 3 × 3 convolutions; biases
are 0.
Source: Miyato et al. 2018, appendix B, and its published code (arXiv:1802.05957), after Gulrajani et al. 2017
(arXiv:1704.00028).
"""

from functools import partial

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from ganduel.model.normalised import Layers, Norm

GLOROT = nn.init.xavier_uniform_
GLOROT_RELU = partial(nn.init.xavier_uniform_, gain=2**0.5)


class UpBlock(nn.Module):
    """Doubles the size: (batch, fan_in, h, w) → (batch, width, 2h, 2w)."""

    def __init__(self, fan_in: int, width: int, norm: Norm):
        super().__init__()
        layers = Layers(norm, GLOROT_RELU)
        self.norm = layers.after(fan_in)
        self.first = layers.normed(nn.Conv2d(fan_in, width, 3, padding=1))
        self.second = layers.plain(nn.Conv2d(width, width, 3, padding=1))
        self.shortcut = Layers(norm, GLOROT).plain(nn.Conv2d(fan_in, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.second(self.first(interpolate(self.norm(x).relu(), scale_factor=2)).relu())
        return h + interpolate(self.shortcut(x), scale_factor=2)


class DownBlock(nn.Module):
    """Halves the size, if `down`: (batch, fan_in, h, w) → (batch, width, h/2, w/2)."""

    def __init__(self, fan_in: int, width: int, norm: Norm, down: bool):
        super().__init__()
        layers, inner = Layers(norm, GLOROT_RELU), self.inner_width(fan_in, width)
        self.down = down
        self.norm = layers.after(fan_in)
        self.first = layers.normed(nn.Conv2d(fan_in, inner, 3, padding=1))
        self.second = layers.plain(nn.Conv2d(inner, width, 3, padding=1))
        same = fan_in == width and not down
        self.shortcut = nn.Identity() if same else Layers(norm, GLOROT).plain(nn.Conv2d(fan_in, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.second(self.first(self.activate(x)).relu())) + self.shortcut(self.pool(x))

    def inner_width(self, fan_in: int, width: int) -> int:
        """The width between the two convolutions."""
        return fan_in

    def activate(self, x: Tensor) -> Tensor:
        return self.norm(x).relu()

    def pool(self, x: Tensor) -> Tensor:
        return avg_pool2d(x, 2) if self.down else x


class InputBlock(DownBlock):
    """The first block of D."""

    def __init__(self, channels: int, width: int, norm: Norm):
        super().__init__(channels, width, norm, down=True)
        self.norm = nn.Identity()

    def inner_width(self, fan_in: int, width: int) -> int:
        return width

    def activate(self, x: Tensor) -> Tensor:
        return x
