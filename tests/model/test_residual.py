"""Residual blocks: sizes, the shortcut, what is normalised."""

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from ganduel.model.residual import DownBlock, InputBlock, UpBlock


def zero_residual(block):
    nn.init.zeros_(block.second.weight)
    return block


def test_an_up_block_doubles_and_a_down_block_halves():
    x = torch.randn(2, 3, 4, 6)
    assert UpBlock(3, 5, "batch")(x).shape == (2, 5, 8, 12)
    assert DownBlock(3, 5, "layer", down=True)(x).shape == (2, 5, 2, 3)
    assert DownBlock(3, 5, "none", down=False)(x).shape == (2, 5, 4, 6)
    assert InputBlock(3, 5, "spectral")(x).shape == (2, 5, 2, 3)


def test_without_the_residual_the_shortcut_is_left():
    """↑ and ↓ of the input through the 1 × 1 convolution, in either order; the input itself where nothing changes."""
    x = torch.randn(2, 3, 4, 4)
    up, down, first = (
        zero_residual(block)
        for block in (UpBlock(3, 5, "none"), DownBlock(3, 5, "none", down=True), InputBlock(3, 5, "none"))
    )
    torch.testing.assert_close(up(x), up.shortcut(interpolate(x, scale_factor=2)))
    for block in (down, first):
        torch.testing.assert_close(block(x), avg_pool2d(block.shortcut(x), 2))
    assert torch.equal(zero_residual(DownBlock(3, 3, "none", down=False))(x), x)


def test_the_input_block_sees_negative_values():
    """Its first convolution is on the images, those of other blocks on what a ReLU left."""
    x, less = -torch.rand(1, 2, 4, 4), -2 * torch.rand(1, 2, 4, 4)
    for block, equal in ((DownBlock(2, 3, "none", down=True), True), (InputBlock(2, 3, "none"), False)):
        nn.init.zeros_(block.shortcut.weight)
        assert torch.equal(block(x), block(less)) is equal


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_norms_are_before_both_activations(norm):
    kind = nn.BatchNorm2d if norm == "batch" else nn.GroupNorm
    for block, n in ((UpBlock(2, 3, norm), 2), (DownBlock(2, 3, norm, down=True), 2), (InputBlock(2, 3, norm), 1)):
        assert sum(isinstance(m, kind) for m in block.modules()) == n
