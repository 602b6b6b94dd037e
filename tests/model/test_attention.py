"""Self-attention: the formula by hand, γ at first, shapes."""

import torch
from torch import nn

from ganduel.model.attention import SelfAttention
from ganduel.model.normalised import Layers


def attention(width):
    return SelfAttention(Layers("none", nn.init.normal_), width)


def test_it_starts_as_the_identity():
    x = torch.randn(2, 16, 3, 5)
    assert torch.equal(attention(16)(x), x)


def test_the_formula():
    """Each pixel by itself, in loops; the softmax is over the pixels that are attended to."""
    net = attention(16)
    nn.init.constant_(net.gamma, 0.5)
    x = torch.randn(1, 16, 2, 3)
    pixels = x[0].flatten(1).T
    f, g, h, v = (layer.weight.flatten(1) for layer in (net.query, net.key, net.value, net.output))
    for i, pixel in enumerate(pixels):
        scores = torch.stack([(f @ pixel) @ (g @ other) for other in pixels])
        expected = pixel + 0.5 * v @ sum(b * (h @ other) for b, other in zip(scores.softmax(0), pixels, strict=True))
        torch.testing.assert_close(net(x)[0].flatten(1)[:, i], expected)


def test_there_are_an_eighth_as_many_channels_inside():
    """3 · 64 · 8 + 8 · 64 + 1; at least one."""
    assert sum(p.numel() for p in attention(64).parameters()) == 3 * 64 * 8 + 8 * 64 + 1
    assert attention(4).query.out_channels == 1
