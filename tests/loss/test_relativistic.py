"""L_D = E[softplus(b − a)], L_G = E[softplus(a − b)], on pairs."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganduel.loss.relativistic import Relativistic

pairs = st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=1, max_size=9).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64).unbind(1)
)


@given(pairs)
def test_values_by_hand(pair):
    real, fake = pair
    expected = [sum(math.log1p(math.exp(sign * d)) for d in (real - fake).tolist()) / len(real) for sign in (-1, 1)]
    assert Relativistic().discriminator(real, fake).item() == pytest.approx(expected[0])
    assert Relativistic().generator(real, fake).item() == pytest.approx(expected[1])


@given(pairs)
def test_players_swap_sides_and_a_constant_changes_nothing(pair):
    real, fake = pair
    torch.testing.assert_close(Relativistic().generator(real, fake), Relativistic().discriminator(fake, real))
    shifted = Relativistic().discriminator(real + 7, fake + 7)
    torch.testing.assert_close(shifted, Relativistic().discriminator(real, fake))


def test_equilibrium_is_log_two_for_both():
    logits = torch.full((3,), 4.0)
    assert Relativistic().discriminator(logits, logits).item() == pytest.approx(math.log(2))
    assert Relativistic().generator(logits, logits).item() == pytest.approx(math.log(2))


def test_real_samples_pull_as_hard_as_generated_ones():
    """∂L_G/∂b = −sigmoid(a − b)/n and ∂L_G/∂a its opposite: G's update asks for D over real samples."""
    real = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([0.5, 3.0], dtype=torch.float64, requires_grad=True)
    on_real, on_fake = torch.autograd.grad(Relativistic().generator(real, fake), [real, fake])
    torch.testing.assert_close(on_fake, -(real - fake).sigmoid().detach() / 2)
    torch.testing.assert_close(on_real, -on_fake)
    assert Relativistic.generator_uses_real


def test_extreme_logits_stay_finite():
    a, b = torch.full((2,), -1e4), torch.full((2,), 1e4)
    assert Relativistic().discriminator(a, b).item() == pytest.approx(2e4)


def test_statistics_count_pairs_in_the_right_order():
    row = Relativistic().statistics(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0.0, 5.0, 3.0, 1.0]))
    assert row["d/accuracy_pair"] == 0.5
    assert {"d/real", "d/accuracy_real"}.isdisjoint(row)
