"""R3GAN: numbers of weights, initial weights, the block."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, leaky_relu

from ganduel.errors import UserError
from ganduel.model.r3gan import Block, R3GANDiscriminator, R3GANGenerator

PAPER = {"base_width": 24576, "max_width": 768, "blocks": 2}


def count(net):
    return sum(p.numel() for p in net.parameters())


def block(width):
    """1 × 1 to twice the width, 3 × 3 in groups of 16, 1 × 1 back; two biases."""
    return width * 2 * width + 9 * 2 * width * 16 + 2 * width * width + 2 * 2 * width


@pytest.mark.parametrize(
    ("size", "widths"), [(32, (768,) * 4), (256, (768, 768, 768, 768, 384, 192, 96))], ids=["CIFAR-10", "FFHQ 256"]
)
def test_as_many_weights_as_the_papers_configs(size, widths):
    """20.7 million in each network for CIFAR-10, 23.1 and 23.0 for FFHQ."""
    with torch.device("meta"):
        g, d = R3GANGenerator((3, size, size), **PAPER), R3GANDiscriminator((3, size, size), **PAPER)
    blocks = sum(2 * block(width) for width in widths)
    transitions = sum(a * b for a, b in pairwise(widths) if a != b)
    assert count(g) == 16 * 768 + 64 * 768 + blocks + transitions + widths[-1] * 3
    assert count(d) == 3 * widths[-1] + blocks + transitions + 16 * 768 + 768


def test_the_block_by_hand():
    """Four groups of two channels; x stays."""
    net, x = Block(4, 2, 2, blocks=3), torch.randn(2, 4, 3, 3)
    for p in net.parameters():
        nn.init.normal_(p)
    first, bias, grouped, other, last = net.parameters()
    h = leaky_relu(conv2d(x, first) + bias, 0.2)
    groups = [conv2d(h[:, 2 * i : 2 * i + 2], grouped[2 * i : 2 * i + 2], padding=1) for i in range(4)]
    expected = x + conv2d(leaky_relu(torch.cat(groups, 1) + other, 0.2), last)
    torch.testing.assert_close(net(x), expected)


def test_blocks_start_as_the_identity_with_weights_scaled_by_their_number():
    """√(2 / 1.04) · L^(−1/4) / √fan_in, L = 16: half of He et al.'s."""
    net, x = Block(64, 2, 16, blocks=16), torch.randn(2, 64, 3, 3)
    assert torch.equal(net(x), x)
    he = (2 / 1.04) ** 0.5
    for layer, fan_in in ((net.net[0], 64), (net.net[2], 16 * 9)):
        assert layer.weight.std().item() == pytest.approx(he / 2 / fan_in**0.5, rel=0.05)


def test_an_image_is_a_sum_of_learnt_maps_at_first():
    """Blocks are the identity and the width is constant: G is linear in z, without a bias."""
    g = R3GANGenerator((1, 8, 8), max_width=4, group_width=2)
    z = torch.randn(3, 64)
    torch.testing.assert_close(g(z[:1] + 2 * z[1:2]), g(z[:1]) + 2 * g(z[1:2]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (3, 30, 30)}, r"model=r3gan halves images .* 28 × 28 or 32 × 32 can"),
        ({"group_width": 3}, r"model\.\w+\.group_width=3 does not divide the 8 channels inside a block of width 4\."),
        ({"blocks": 0}, r"model\.\w+\.blocks=0 must be at least 1"),
        ({"base_width": 3}, r"model\.\w+\.base_width=3 leaves no channel at 8 pixels"),
    ],
)
def test_refuses_what_cannot_be_built(arguments, message):
    for net in (R3GANGenerator, R3GANDiscriminator):
        with pytest.raises(UserError, match=message):
            net(**{"shape": (3, 8, 8), "max_width": 4, "group_width": 2, **arguments})
