"""Residual networks: numbers of weights by the papers' tables, sizes, attention."""

from itertools import pairwise

import pytest
import torch

from ganduel.errors import UserError
from ganduel.model.attention import SelfAttention
from ganduel.model.residual import DownBlock
from ganduel.model.resnet import ResNetDiscriminator, ResNetGenerator


def count(net):
    return sum(p.numel() for p in net.parameters())


def up(a, b):
    """Two BatchNorms, 3 × 3 convolutions of which the second has a bias, a 1 × 1 one with a bias."""
    return 2 * a + 9 * a * b + 2 * b + 9 * b * b + b + a * b + b


def down(a, inner, b, shortcut=True):
    """Two 3 × 3 convolutions and a 1 × 1 one, with biases."""
    return 9 * a * inner + inner + 9 * inner * b + b + (a * b + b if shortcut else 0)


def test_as_many_weights_as_in_table_4():
    """32 × 32 RGB; each convolution with a bias, but for one that a BatchNorm follows: 4.3 and 1.05 million."""
    with torch.device("meta"):
        g, d = ResNetGenerator((3, 32, 32)), ResNetDiscriminator((3, 32, 32), norm="none")
    dense = 128 * 4 * 4 * 256 + 4 * 4 * 256
    assert count(g) == dense + 3 * up(256, 256) + 2 * 256 + 9 * 256 * 3 + 3
    same = down(128, 128, 128, shortcut=False)
    assert count(d) == down(3, 128, 128) + down(128, 128, 128) + 2 * same + 128 + 1


@pytest.mark.parametrize(
    ("size", "smallest", "g_widths", "d_widths", "downs"),
    [
        (48, 6, (512, 256, 128, 64), (64, 128, 256, 512, 1024), 4),
        (128, 4, (1024, 1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024, 1024), 5),
    ],
)
def test_as_many_weights_as_in_tables_5_and_6(size, smallest, g_widths, d_widths, downs):
    with torch.device("meta"):
        g, d = ResNetGenerator((3, size, size)), ResNetDiscriminator((3, size, size), norm="none")
    dense = 129 * smallest**2 * g_widths[0]
    ups = sum(up(a, b) for a, b in pairwise(g_widths))
    assert count(g) == dense + ups + 2 * 64 + 9 * 64 * 3 + 3
    blocks = [down(a, a, b, a != b or i < downs) for i, (a, b) in enumerate(pairwise(d_widths), 1)]
    assert count(d) == down(3, 64, 64) + sum(blocks) + d_widths[-1] + 1
    halving = [block.down for block in d.blocks if isinstance(block, DownBlock)]
    assert halving == [True] * downs + [False]


def test_small_images_are_halved_twice():
    d = ResNetDiscriminator((1, 28, 28), width=2)
    assert d.blocks(torch.zeros(1, 1, 28, 28)).shape == (1, 2, 7, 7)
    assert ResNetDiscriminator((1, 10, 20), width=2).blocks(torch.zeros(1, 1, 10, 20)).shape == (1, 2, 5, 10)


def test_pixels_are_summed_or_averaged():
    total, mean = (ResNetDiscriminator((1, 8, 8), width=2, norm="none", pool=pool) for pool in ("sum", "mean"))
    mean.load_state_dict(total.state_dict())
    x = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(total(x), 4 * mean(x))  # biases are 0 at first


@pytest.mark.parametrize("net", [ResNetGenerator, ResNetDiscriminator])
def test_attention_follows_the_block_of_its_size(net):
    part = net((1, 16, 24), width=8, attention=8)
    (attention,) = [m for m in part.modules() if isinstance(m, SelfAttention)]
    seen = []
    attention.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    part(torch.randn(2, 128) if net is ResNetGenerator else torch.randn(2, 1, 16, 24))
    assert seen == [(2, 8, 8, 12)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (3, 30, 30)}, r"model=resnet halves images .* 28 × 28 or 32 × 32 can"),
        ({"width": 0}, r"model\.\w+\.width=0 leaves no channel"),
        ({"attention": 5}, r"model\.\w+\.attention=5: feature maps have sides of \d+, \d+\. Use one of these, or null"),
    ],
)
def test_refuses_what_cannot_be_built(arguments, message):
    for net in (ResNetGenerator, ResNetDiscriminator):
        with pytest.raises(UserError, match=message):
            net(**{"shape": (3, 16, 16), "width": 2, **arguments})


@pytest.mark.usefixtures("untyped")
def test_refuses_an_unknown_pool():
    with pytest.raises(UserError, match=r"model\.discriminator\.pool=max is not known\. There are: mean, sum\."):
        ResNetDiscriminator((3, 16, 16), width=2, pool="max")
