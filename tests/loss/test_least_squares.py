"""L_D = ½ E[(a − 1)²] + ½ E[b²], L_G = ½ E[(b − 1)²]: values, slopes, the best D, and the divergence of the paper."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganduel.errors import UserError
from ganduel.loss.least_squares import LeastSquares


@given(a=st.floats(-30, 30), b=st.floats(-30, 30))
def test_values_by_hand(a, b):
    real, fake = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    assert LeastSquares().discriminator(real, fake).item() == pytest.approx(((a - 1) ** 2 + b**2) / 2)
    assert LeastSquares().generator(None, fake).item() == pytest.approx((b - 1) ** 2 / 2)


def test_equilibrium():
    half = torch.full((3,), 0.5)
    assert LeastSquares().discriminator(half, half).item() == 0.25
    assert LeastSquares().generator(None, half).item() == 0.125


@given(st.floats(0.01, 0.99), st.floats(-2, 0), st.floats(0.1, 2))
def test_the_best_discriminator_is_a_mean_of_the_targets(p, fake, real):
    """Where a share p of the samples is real it is real · p + fake · (1 − p): there the slope of L_D is 0."""
    loss = LeastSquares(real, fake)
    d = torch.tensor(real * p + fake * (1 - p), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(p * loss.d_real(d) + (1 - p) * loss.d_fake(d), d)
    assert slope.item() == pytest.approx(0, abs=1e-12)


def test_with_one_minus_one_and_zero_it_is_pearsons_divergence():
    """2 L_G over both densities, at the best D, is ∫ (2 p_g − (p + p_g))² / (p + p_g): a Pearson χ² divergence."""
    p, q = torch.tensor([0.2, 0.5, 0.3]).double(), torch.tensor([0.6, 0.1, 0.3]).double()
    best = (p - q) / (p + q)
    divergence = ((2 * q - (p + q)).square() / (p + q)).sum()
    assert 2 * ((p + q) * LeastSquares(1.0, -1.0, 0.0).g_fake(best)).sum().item() == pytest.approx(divergence.item())


def test_slope_of_g_is_the_distance_to_its_target():
    _, slope = LeastSquares(generator=0.25).curve(torch.tensor([-3.0, 0.25, 2.0]))
    assert slope.tolist() == [-3.25, 0, 1.75]


def test_accuracy_is_at_the_middle_and_a_logit_is_no_log_odds():
    row = LeastSquares(real=2.0, fake=-1.0).statistics(torch.tensor([0.6, 0.4]), torch.tensor([0.6, 0.4]))
    assert row["d/accuracy_real"] == row["d/accuracy_fake"] == 0.5
    assert "d/real" not in row
    assert LeastSquares().form()["log_odds"] is False


def test_targets_in_the_wrong_order_are_refused():
    with pytest.raises(UserError, match=r"loss\.fake=1\.0 must be below loss\.real=0\.0"):
        LeastSquares(real=0.0, fake=1.0)
