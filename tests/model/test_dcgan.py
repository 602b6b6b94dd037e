"""DCGAN: numbers of weights, layers, sizes."""

import pytest
import torch
from torch import nn

from ganduel.errors import UserError
from ganduel.model.dcgan import DCGANDiscriminator, DCGANGenerator


def count(net):
    return sum(p.numel() for p in net.parameters())


def test_as_many_weights_as_in_the_paper():
    """64 × 64 RGB, G as in figure 1: weights, two per channel of a BatchNorm, biases where there is none."""
    with torch.device("meta"):
        g = DCGANGenerator((3, 64, 64), width=128, kernel=5)
        d = DCGANDiscriminator((3, 64, 64), width=64, kernel=4)
    project = 100 * 4 * 4 * 1024 + 2 * 1024
    up = 25 * (1024 * 512 + 512 * 256 + 256 * 128) + 2 * (512 + 256 + 128)
    assert count(g) == project + up + 25 * 128 * 3 + 3
    down = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 64 + 2 * (128 + 256 + 512)
    assert count(d) == down + 4 * 4 * 512 + 1


@pytest.mark.parametrize(("kernel", "smallest"), [(4, 3), (5, 4)])
def test_digits_are_halved_three_times(kernel, smallest):
    """28 → 14 → 7, and 7 to 3 or 4: D's last layer sees all of a digit."""
    g, d = (net((1, 28, 28), width=4, kernel=kernel) for net in (DCGANGenerator, DCGANDiscriminator))
    maps = [module.weight.shape[:2] for module in (*g.modules(), *d.modules()) if hasattr(module, "kernel_size")]
    assert maps == [(16, 8), (8, 4), (4, 1), (4, 1), (8, 4), (16, 8)]
    assert g.net[1].unflattened_size == (16, smallest, smallest)
    assert d.net[-1].in_features == 16 * smallest**2


def test_widths_double_up_to_eight_times():
    d = DCGANDiscriminator((1, 128, 128), width=2)
    assert [conv.out_channels for conv in d.modules() if isinstance(conv, nn.Conv2d)] == [2, 4, 8, 16, 16]


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("size", [(12, 8), (5, 5), (13, 27), (30, 33)])
def test_any_kernel_halves_and_doubles_any_size(kernel, size):
    g, d = (net((1, *size), width=2, kernel=kernel) for net in (DCGANGenerator, DCGANDiscriminator))
    x = g(torch.randn(3, 100))
    assert x.shape == (3, 1, *size)
    assert d(x).shape == (3,)


def test_batch_norm_is_neither_on_the_images_nor_at_either_end():
    g, d = DCGANGenerator((1, 16, 16), width=2), DCGANDiscriminator((1, 16, 16), width=2)
    assert [m.num_features for m in g.modules() if isinstance(m, nn.BatchNorm2d)] == [4, 2]
    assert [m.num_features for m in d.modules() if isinstance(m, nn.BatchNorm2d)] == [4]
    assert isinstance(g.net[-1], nn.Tanh)
    assert all(m.negative_slope == 0.2 for m in d.modules() if isinstance(m, nn.LeakyReLU))


def test_initial_weights_are_normal_of_deviation_two_hundredths():
    for net in (DCGANGenerator((3, 32, 32), width=16), DCGANDiscriminator((3, 32, 32), width=16)):
        weights = torch.cat([p.flatten() for p in net.parameters() if p.ndim > 1])
        assert weights.std().item() == pytest.approx(0.02, rel=0.02)
        assert weights.abs().max() > 0.06


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, r"model\.\w+\.width=0 leaves no channel"),
        ({"kernel": 1}, r"model\.\w+\.kernel=1 with stride 2 leaves pixels out"),
        ({"shape": (1, 4, 30)}, r"model=dcgan halves images, and those of 4 × 30 are too small: 5 × 5 can be"),
        ({"shape": (2,)}, r"model=dcgan is for images"),
    ],
)
def test_refuses_what_cannot_be_built(arguments, message):
    for net in (DCGANGenerator, DCGANDiscriminator):
        with pytest.raises(UserError, match=message):
            net(**{"shape": (1, 8, 8), **arguments})
