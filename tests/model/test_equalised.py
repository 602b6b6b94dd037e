"""Equalised learning rate: what a layer computes, and how fast it moves."""

import pytest
import torch
from torch.nn.functional import conv2d

from ganduel.model.equalised import Activation, EqualisedConv2d, EqualisedLinear, activate


def test_weights_are_scaled_by_fan_in():
    x = torch.randn(2, 6)
    layer = EqualisedLinear(6, 5, bias=1.0)
    torch.testing.assert_close(layer(x), x @ layer.weight.T / 6**0.5 + 1)
    image, convolution = torch.randn(2, 6, 4, 4), EqualisedConv2d(6, 5, 3, padding=1, bias=False)
    torch.testing.assert_close(convolution(image), conv2d(image, convolution.weight, padding=1) / 54**0.5)


def test_outputs_have_unit_variance_at_first():
    for multiplier in (1.0, 0.01):
        y = EqualisedLinear(400, 300, multiplier)(torch.randn(100, 400))
        assert y.std().item() == pytest.approx(1, rel=0.05)
    assert EqualisedConv2d(100, 90, 3)(torch.randn(4, 100, 7, 7)).std().item() == pytest.approx(1, rel=0.05)


def test_a_step_of_one_size_changes_the_outputs_by_the_multiplier():
    """As Adam takes them: weights and bias all move by h, the outputs by m (h Σx / √fan_in + h)."""
    x, h = torch.ones(1, 4), 0.5
    for multiplier in (1.0, 0.01):
        layer = EqualisedLinear(4, 3, multiplier)
        before = layer(x)
        with torch.no_grad():
            for p in layer.parameters():
                p += h
        torch.testing.assert_close(layer(x) - before, torch.full((1, 3), multiplier * (h * 4 / 2 + h)))


def test_the_activation_keeps_the_second_moment_about_as_it_is():
    """(1 + 0.2²) / 2 · 2 = 1.04."""
    x = torch.randn(100_000)
    assert activate(x).square().mean().item() == pytest.approx(1.04, rel=0.02)
    assert Activation()(torch.tensor([-1.0, 1.0])).tolist() == pytest.approx([-0.2 * 2**0.5, 2**0.5])
