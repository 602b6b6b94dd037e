"""WGAN-GP against slopes by hand, and where it looks: one place between each pair of samples."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from minibatches import critic, minibatch

from ganduel.errors import UserError
from ganduel.penalty.gradient_penalty import GradientPenalty

shapes = st.sampled_from([(4,), (1, 2, 2), (3, 1, 5)])


@given(shape=shapes, seed=st.integers(0, 99), target=st.floats(0, 2), one_sided=st.booleans())
def test_linear_discriminator(shape, seed, target, one_sided):
    """Weight · (|w| − target)², and one-sided only where |w| is larger."""
    torch.manual_seed(seed)
    w, real, fake = torch.randn(shape).double(), *torch.randn(2, 6, *shape).double()
    value = GradientPenalty(3.0, target, one_sided)(
        critic(lambda x: (x * w).flatten(1).sum(1) + 7), minibatch(real), fake
    )
    excess = w.norm().item() - target
    assert value.item() == pytest.approx(3 * (max(0, excess) if one_sided else excess) ** 2, abs=1e-9)


@pytest.mark.parametrize("shape", [(2,), (2, 3, 3)])
def test_it_looks_at_one_place_between_each_pair(shape):
    """x̂ = α x + (1 − α) G(z) with one α for all values of a sample; a known fault is one for each value.

    Between samples of equal values, D = ½ (difference of two values)² then has slope 0, and D = ½ |x|² has slope |x̂|.
    """
    real, fake = torch.zeros(2000, *shape).double(), torch.ones(2000, *shape).double()
    flat = critic(lambda x: (x.flatten(1)[:, 0] - x.flatten(1)[:, 1]).square() / 2)
    assert GradientPenalty(target=0.0)(flat, minibatch(real), fake) == 0
    bowl = critic(lambda x: x.flatten(1).square().sum(1) / 2)
    alpha = minibatch(real).draws.uniform(real.flatten(1)[:, 0])
    size = real[0].numel()
    value = GradientPenalty(1.0, target=0.0)(bowl, minibatch(real), fake)
    assert value.item() == pytest.approx((size * (1 - alpha).square()).mean().item())
    assert value.item() == pytest.approx(size / 3, rel=0.05)


def test_labels_are_those_of_the_real_samples():
    """D(x, y) = (y + 1) · sum(x) over three coordinates: slopes √3 (y + 1)."""
    d = critic(lambda x, y: (y + 1) * x.sum(1))
    value = GradientPenalty(1.0)(d, minibatch(torch.randn(2, 3), torch.tensor([0, 2])), torch.randn(2, 3))
    assert value.item() == pytest.approx(((3**0.5 - 1) ** 2 + (3 * 3**0.5 - 1) ** 2) / 2)


def test_a_flat_discriminator_has_a_gradient_all_the_same():
    """The norm has no derivative where the slope is 0: D's weights still get a finite one."""
    w = torch.zeros(3, requires_grad=True)
    value = GradientPenalty(10.0)(critic(lambda x: x @ w), minibatch(torch.randn(4, 3)), torch.randn(4, 3))
    assert value.item() == 10
    assert torch.autograd.grad(value, w)[0].isfinite().all()


def test_what_is_refused():
    with pytest.raises(UserError, match=r"GradientPenalty: weight=-1\.0 must not be negative"):
        GradientPenalty(-1.0)
    with pytest.raises(UserError, match=r"GradientPenalty: target=-1\.0 must not be negative"):
        GradientPenalty(target=-1.0)
