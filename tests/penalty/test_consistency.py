"""What D makes of an image and of its mirror image, moved."""

import pytest
import torch
from minibatches import critic, minibatch
from torch import nn

from ganduel.errors import UserError
from ganduel.penalty.consistency import Consistency


def test_a_d_that_looks_at_the_whole_is_consistent():
    """The sum of an image with a border of zeros stays, however it is mirrored and moved."""
    x = torch.zeros(20, 2, 9, 9)
    x[:, :, 4, 3:5] = torch.randn(20, 2, 2)
    total = critic(lambda x: x.flatten(1).sum(1))
    assert Consistency(shift=2)(total, minibatch(x, noise=x), x).item() == pytest.approx(0, abs=1e-9)
    corner = critic(lambda x: x[:, 0, 4, 3])
    assert Consistency(shift=2)(corner, minibatch(x, noise=x), x).item() > 0.01


def test_weights_are_of_real_and_of_generated_images():
    """Of a D that sees one pixel of a single row: x or, where it is mirrored, its neighbour; without shifts by hand."""
    real, fake = torch.tensor([1.0, 4.0]).expand(300, 1, 1, 2), torch.tensor([0.0, 2.0]).expand(300, 1, 1, 2)
    left = critic(lambda x: x[:, 0, 0, 0])
    b = minibatch(real, noise=real)
    assert Consistency(10.0, 0.0, shift=0)(left, b, fake).item() == pytest.approx(10 * 9 / 2, rel=0.2)
    assert Consistency(0.0, 1.0, shift=0)(left, b, fake).item() == pytest.approx(4 / 2, rel=0.2)
    assert Consistency(0.0, 0.0, shift=0)(left, b, fake).item() == 0


def test_it_is_for_images():
    with pytest.raises(UserError, match=r"Consistency mirrors and moves images, and the data's samples are of shape"):
        Consistency().check(nn.Linear(2, 1), (2,))
    with pytest.raises(UserError, match=r"Consistency: fake=-1\.0 must not be negative"):
        Consistency(fake=-1.0)
