"""L_G = −E[softplus(b)]: the minimax value, its slope, and its bond with the non-saturating form."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.saturating import Saturating


def test_equilibrium_is_minus_log_two():
    assert Saturating().generator(None, torch.zeros(3, dtype=torch.float64)).item() == pytest.approx(-math.log(2))


@given(st.floats(-30, 30))
def test_slope_is_minus_d(b):
    fake = torch.tensor([b], dtype=torch.float64, requires_grad=True)
    gradient = torch.autograd.grad(Saturating().generator(None, fake), fake)[0]
    assert gradient.item() == pytest.approx(-1 / (1 + math.exp(-b)), rel=3e-9)  # torch's softplus(x) is x from 20 on


@given(st.lists(st.tuples(st.floats(-40, 40), st.floats(-40, 40)), min_size=1, max_size=9))
def test_game_is_zero_sum_in_the_generated_samples(pairs):
    """L_D + L_G is D's loss on the real samples alone: what G wins there, D loses."""
    form, (real, fake) = Saturating(), torch.tensor(pairs, dtype=torch.float64).unbind(1)
    rest = form.discriminator(real, fake) + form.generator(None, fake)
    torch.testing.assert_close(rest, form.d_real(real).mean(), rtol=1e-9, atol=1e-9)


@given(st.integers(0, 1000))
def test_gradient_through_a_generator_is_d_over_one_minus_d_times_the_other(seed):
    """For one sample all of G's weights see the same factor, D/(1 − D) = exp(b), between the two forms."""
    torch.manual_seed(seed)
    g, d = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3)).double(), nn.Linear(3, 1).double()
    b = d(g(torch.randn(1, 2).double())).squeeze(1)
    saturating = torch.autograd.grad(Saturating().generator(None, b), list(g.parameters()), retain_graph=True)
    other = torch.autograd.grad(NonSaturating().generator(None, b), list(g.parameters()))
    odds = b.sigmoid().item() / (1 - b.sigmoid().item())
    for gradient, expected in zip(saturating, other, strict=True):
        torch.testing.assert_close(gradient, odds * expected, rtol=1e-9, atol=1e-14)


def test_same_direction_at_the_equilibrium():
    """At D = 1/2 both forms pull equally."""
    b = torch.zeros(3, requires_grad=True)
    saturating, other = (torch.autograd.grad(form().generator(None, b), b)[0] for form in (Saturating, NonSaturating))
    torch.testing.assert_close(saturating, other)
    torch.testing.assert_close(saturating, torch.full((3,), -1 / 6))
