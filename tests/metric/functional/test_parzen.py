"""The Parzen estimate: closed forms, the sum written out, far points, and the choice of σ."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganduel.errors import UserError
from ganduel.metric.functional import parzen
from ganduel.metric.functional.parzen import SIGMAS, choose_sigma, parzen_log_likelihood


def uniform(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reference(samples: np.ndarray, points: np.ndarray, sigma: float) -> np.ndarray:
    """The mean of the densities, by the formula of the normal distribution."""
    square = ((points[:, None] - samples[None]) ** 2).sum(-1)
    density = np.exp(-square / (2 * sigma**2)) / (2 * np.pi * sigma**2) ** (samples.shape[1] / 2)
    return np.log(density.mean(1))


def test_one_sample_is_one_gaussian():
    """At its centre, and at a distance of 5 with σ = 2 in three dimensions."""
    sample, points = torch.zeros(1, 3), torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]])
    top = -1.5 * math.log(2 * math.pi * 4)
    assert parzen_log_likelihood(sample, points, 2.0).tolist() == pytest.approx([top, top - 25 / 8])


def test_half_the_samples_at_the_point_cost_log_2():
    samples = torch.tensor([[0.0], [100.0]])
    at = parzen_log_likelihood(samples, torch.tensor([[0.0]]), 1.0).item()
    assert at == pytest.approx(-math.log(2) - 0.5 * math.log(2 * math.pi))


def test_samples_and_points_are_not_alike():
    """Two samples around one point, not one around two: swapped, there would be two values."""
    samples, point = torch.tensor([[-1.0], [1.0]]), torch.tensor([[0.0]])
    assert parzen_log_likelihood(samples, point, 1.0).tolist() == pytest.approx([-0.5 - 0.5 * math.log(2 * math.pi)])
    assert parzen_log_likelihood(point, samples, 1.0).shape == (2,)


def test_far_points_do_not_underflow():
    """A density of exp(−5,000,000) is 0 in float64; its logarithm is not −inf."""
    value = parzen_log_likelihood(torch.zeros(3, 1), torch.tensor([[1000.0]]), 0.1**0.5).item()
    assert value == pytest.approx(-1e6 / 0.2 - 0.5 * math.log(2 * math.pi * 0.1), rel=1e-6)


@given(
    n=st.integers(1, 12),
    m=st.integers(1, 12),
    d=st.integers(1, 5),
    sigma=st.floats(0.2, 3),
    seed=st.integers(0, 999),
)
def test_agrees_with_the_mean_of_densities(n: int, m: int, d: int, sigma: float, seed: int):
    samples, points = uniform(n, d, seed), uniform(m, d, seed + 1000)
    expected = reference(samples.numpy(), points.numpy(), sigma)
    assert parzen_log_likelihood(samples, points, sigma).numpy() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(shift=st.floats(-1e3, 1e3), scale=st.floats(0.1, 10), seed=st.integers(0, 999))
def test_a_shift_changes_nothing_and_a_scale_its_volume(shift: float, scale: float, seed: int):
    samples, points = uniform(9, 4, seed), uniform(7, 4, seed + 1000)
    plain = parzen_log_likelihood(samples, points, 0.3)
    moved = parzen_log_likelihood(samples.flip(0) * scale + shift, points * scale + shift, 0.3 * scale)
    assert moved.numpy() == pytest.approx((plain - 4 * math.log(scale)).numpy(), abs=1e-6)


def test_it_is_a_density():
    """Its integral is 1."""
    x = torch.linspace(-10, 11, 4001, dtype=torch.float64)[:, None]
    density = parzen_log_likelihood(uniform(20, 1, 0), x, 0.5).exp()
    assert torch.trapezoid(density, x[:, 0]).item() == pytest.approx(1, abs=1e-9)


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch):
    samples, points = uniform(30, 6, 1), uniform(23, 6, 2)
    whole = parzen_log_likelihood(samples, points, 0.2).tolist()
    monkeypatch.setattr(parzen, "BLOCK", 5)
    assert parzen_log_likelihood(samples, points, 0.2).tolist() == pytest.approx(whole, rel=1e-12)


def test_the_sigmas_are_those_of_the_paper():
    assert list(SIGMAS) == pytest.approx(np.logspace(-1, 0, 10).tolist())


def test_the_best_sigma_is_that_of_the_greatest_mean():
    samples, validation = uniform(100, 3, 3), uniform(80, 3, 4)
    means = {sigma: parzen_log_likelihood(samples, validation, sigma).mean().item() for sigma in SIGMAS}
    best = choose_sigma(samples, validation)
    assert best == max(means, key=lambda sigma: means[sigma])
    assert SIGMAS[0] < best < SIGMAS[-1]


def test_one_sample_takes_the_distance_as_its_width():
    """−r²/(2 σ²) − d log σ has its maximum at σ = r/sqrt(d)."""
    sample, points = torch.zeros(1, 4), torch.tensor([[6.0, 0.0, 0.0, 0.0]])
    assert choose_sigma(sample, points, [1.0, 2.9, 3.0, 3.1, 9.0]) == 3.0


def test_distances_are_taken_once_for_all_sigmas(monkeypatch: pytest.MonkeyPatch):
    calls, plain = [], parzen.squared_distances
    monkeypatch.setattr(parzen, "squared_distances", lambda x, y: calls.append(1) or plain(x, y))
    choose_sigma(uniform(10, 2, 5), uniform(10, 2, 6))
    assert len(calls) == 1


@pytest.mark.parametrize("sigma", [0.0, -0.1, math.nan, math.inf])
def test_a_width_is_positive(sigma: float):
    with pytest.raises(UserError, match=f"sigma={sigma} is no width"):
        parzen_log_likelihood(uniform(3, 2, 7), uniform(3, 2, 8), sigma)


def test_a_choice_needs_something_to_choose_from():
    with pytest.raises(UserError, match="sigma=nothing"):
        choose_sigma(uniform(3, 2, 7), uniform(3, 2, 8), [])
