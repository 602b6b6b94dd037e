"""R2 is R1 at generated samples."""

import pytest
import torch
from minibatches import critic, minibatch

from ganduel.errors import UserError
from ganduel.penalty.r1 import R1
from ganduel.penalty.r2 import R2


def test_quadratic_discriminator():
    """D(x) = |x|² has slope 2x: γ/2 · 4 E|x|² over generated samples; the real ones are not numbers."""
    fake = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    value = R2(6.0)(critic(lambda x: x.square().sum(1)), minibatch(torch.full((2, 2), float("nan"))), fake)
    assert value.item() == pytest.approx(3 * 4 * 15)


def test_is_r1_with_the_two_kinds_exchanged():
    x, y = torch.randn(2, 5, 3).double()
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    d = critic(lambda x: net(x).squeeze(1))
    torch.testing.assert_close(R2(3.0)(d, minibatch(x), y), R1(3.0)(d, minibatch(y), x))


def test_each_generated_sample_is_seen_with_its_own_label():
    labels = torch.tensor([0, 1, 3])
    d = critic(lambda x, y: (y + 1) * x.sum(1))
    assert R2(2.0)(d, minibatch(torch.randn(3, 3), labels), torch.randn(3, 3)).item() == pytest.approx(21)


def test_a_negative_weight_is_refused():
    with pytest.raises(UserError, match=r"R2: gamma=-1\.0 must not be negative"):
        R2(-1.0)
