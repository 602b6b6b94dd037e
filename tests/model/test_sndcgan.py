"""SNDCGAN: numbers of weights, layers, sizes."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ganduel.errors import UserError
from ganduel.model.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("size", [32, 48])
def test_as_many_weights_as_in_the_paper(size):
    """Table 3 with M = 32 and 48, RGB: weights, two per channel of a BatchNorm, biases where there is none."""
    with torch.device("meta"):
        g, d = SNDCGANGenerator((3, size, size)), SNDCGANDiscriminator((3, size, size), norm="none")
    smallest = 512 * (size // 8) ** 2
    up = 16 * (512 * 256 + 256 * 128 + 128 * 64) + 2 * (512 + 256 + 128 + 64)
    assert count(g) == 128 * smallest + up + 9 * 64 * 3 + 3
    same = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 64 + 128 + 256 + 512
    down = 16 * (64 * 64 + 128 * 128 + 256 * 256) + 64 + 128 + 256
    assert count(d) == same + down + smallest + 1


def test_d_has_spectral_norm_on_every_layer():
    d = SNDCGANDiscriminator((1, 8, 8), width=1)
    layers = [m for m in d.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 8
    assert all(map(is_parametrized, layers))
    assert [(m.kernel_size, m.stride) for m in layers[:-1]] == [((3, 3), (1, 1)), ((4, 4), (2, 2))] * 3 + [
        ((3, 3), (1, 1))
    ]
    assert [m.negative_slope for m in d.net if isinstance(m, nn.LeakyReLU)] == [0.1] * 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (1, 28, 28)}, r"model=sndcgan takes images whose sides are multiples of 8.* 24 × 24 or 32 × 32 are"),
        ({"width": 0}, r"model\.\w+\.width=0 leaves no channel"),
    ],
)
def test_refuses_what_cannot_be_built(arguments, message):
    for net in (SNDCGANGenerator, SNDCGANDiscriminator):
        with pytest.raises(UserError, match=message):
            net(**{"shape": (1, 8, 8), **arguments})
