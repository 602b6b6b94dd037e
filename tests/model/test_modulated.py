"""Modulated convolution against one with a copy of the weights for each sample, as the paper's equations have it."""

import pytest
import torch
from torch.nn.functional import conv2d, conv_transpose2d

from ganduel.model.modulated import ModulatedConv2d
from ganduel.model.resample import blur


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_inputs_and_outputs_scaled_are_weights_scaled(up, demodulate):
    layer = ModulatedConv2d(3, 5, 3, style_dim=4, up=up, demodulate=demodulate)
    x, w = torch.randn(2, 3, 6, 4), torch.randn(2, 4)
    y = layer(x, w)
    assert y.shape == ((2, 5, 12, 8) if up else (2, 5, 6, 4))
    for sample, style, output in zip(x, layer.style(w), y, strict=True):
        weight = layer.weight / 27**0.5 * style[None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:
            expected = 4 * blur(conv_transpose2d(sample[None], weight.transpose(0, 1), stride=2), padding=1)
        else:
            expected = conv2d(sample[None], weight, padding=1)
        torch.testing.assert_close(output[None], expected)


def test_demodulated_outputs_have_unit_variance_whatever_the_style():
    layer = ModulatedConv2d(64, 64, 3, style_dim=4)
    for scale in (0.1, 10.0):
        y = layer(torch.randn(8, 64, 8, 8), scale * torch.randn(8, 4))
        assert y[:, :, 1:-1, 1:-1].var((1, 2, 3)).mean().item() == pytest.approx(1, rel=0.1)


def test_styles_start_about_one():
    layer = ModulatedConv2d(3, 5, 1, style_dim=4)
    assert torch.equal(layer.style(torch.zeros(2, 4)), torch.ones(2, 3))
