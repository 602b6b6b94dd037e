"""L_G = E[softplus(−b)]: value, slope, and what they are worth where D is sure of its case."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.saturating import Saturating


def slope(form, b):
    b = torch.tensor(b, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(form().generator(None, b), b)[0]


def test_equilibrium_is_log_two():
    assert NonSaturating().generator(None, torch.zeros(3, dtype=torch.float64)).item() == pytest.approx(math.log(2))


@given(st.floats(-30, 30))
def test_slope_is_minus_one_minus_d(b):
    d = 1 / (1 + math.exp(-b))
    assert slope(NonSaturating, [b]).item() == pytest.approx(-(1 - d), rel=3e-9)  # torch's softplus(x) is x from 20 on


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=20).map(torch.tensor))
def test_agrees_with_cross_entropy_on_flipped_labels(fake):
    reference = binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    torch.testing.assert_close(NonSaturating().generator(None, fake), reference, rtol=1e-6, atol=1e-6)


def test_gradient_survives_a_confident_discriminator():
    """∂L_G/∂b is −sigmoid(−b), against −sigmoid(b) for the saturating form: −1 and −e^−20 at b = −20."""
    slopes = {form: slope(form, [-20.0] * 4).sum().item() for form in (NonSaturating, Saturating)}
    assert slopes == pytest.approx({NonSaturating: -1.0, Saturating: -math.exp(-20)}, rel=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_slope_is_full_in_low_precision(dtype):
    """At b = −1e4 the sigmoid is 0 in any format, and the slope is −1 all the same."""
    b = torch.full((1,), -1e4, dtype=dtype, requires_grad=True)
    loss = NonSaturating().generator(None, b)
    assert torch.autograd.grad(loss, b)[0].item() == -1
    assert loss.item() == pytest.approx(1e4, rel=4e-3)
