"""The networks of "Are GANs created equal?": numbers of weights, layers, sizes."""

import pytest
import torch
from torch import nn

from ganduel.errors import UserError
from ganduel.model.infogan import InfoGANDiscriminator, InfoGANGenerator


def count(net):
    return sum(p.numel() for p in net.parameters())


def test_as_many_weights_as_in_the_paper():
    """On 28 × 28 grey: weights, two per channel or unit of a BatchNorm, biases where there is none."""
    with torch.device("meta"):
        g, d = InfoGANGenerator((1, 28, 28)), InfoGANDiscriminator((1, 28, 28))
    dense = 64 * 1024 + 2 * 1024 + 1024 * (128 * 7 * 7) + 2 * (128 * 7 * 7)
    assert count(g) == dense + 16 * 128 * 64 + 2 * 64 + 16 * 64 * 1 + 1
    convolutions = 16 * 1 * 64 + 64 + 16 * 64 * 128 + 2 * 128
    assert count(d) == convolutions + 128 * 7 * 7 * 1024 + 2 * 1024 + 1024 + 1


def test_layers_come_in_order():
    g, d = (net((3, 4, 4), norm="none") for net in (InfoGANGenerator, InfoGANDiscriminator))

    def weights(net):
        return [tuple(p.shape) for p in net.parameters() if p.ndim > 1]

    assert weights(g) == [(1024, 64), (128, 1024), (128, 64, 4, 4), (64, 3, 4, 4)]
    assert weights(d) == [(64, 3, 4, 4), (128, 64, 4, 4), (1024, 128), (1, 1024)]
    leaky = nn.LeakyReLU
    assert [type(m) for m in g.net if not list(m.parameters())] == [leaky, leaky, nn.Unflatten, leaky, nn.Tanh]
    assert [type(m) for m in d.net if not list(m.parameters())] == [leaky, leaky, nn.Flatten, leaky]
    assert [m.negative_slope for net in (g, d) for m in net.net if isinstance(m, leaky)] == [0.2] * 6


def test_refuses_sizes_that_do_not_fit():
    for net in (InfoGANGenerator, InfoGANDiscriminator):
        with pytest.raises(UserError, match=r"model=infogan takes images whose sides are multiples of 4.* 28 × 28 or"):
            net((1, 30, 30))
