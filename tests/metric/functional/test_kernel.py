"""The kernel distance against closed forms, the sum over pairs, and its mean over many draws."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganduel.metric.functional import kernel
from ganduel.metric.functional.kernel import kernel_distance


def features(n: int, d: int, seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng, dtype=torch.float64) + torch.randn(d, generator=rng, dtype=torch.float64)


def reference(real: np.ndarray, fake: np.ndarray, degree: int = 3, gamma: float = 0, coef: float = 1) -> float:
    """The formula as a loop over pairs."""

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return (gamma * x.dot(y) + coef) ** degree

    gamma = gamma or 1 / real.shape[1]
    own = [np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]) for x in (real, fake)]
    return float(sum(own) - 2 * np.mean([k(x, y) for x in real for y in fake]))


def test_two_points_against_two_by_hand():
    """In one dimension, k = (x y + 1)³: real {0, 1} and fake {1, 2} give 1 + 27 − 2 (1 + 1 + 8 + 27) / 4."""
    real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    assert kernel_distance(real, fake).item() == pytest.approx(1 + 27 - 37 / 2)


def test_the_linear_kernel_compares_means_less_their_variances():
    real, fake = features(30, 4, 0), features(50, 4, 1)
    expected = (real.mean(0) - fake.mean(0)).square().sum() - real.var(0).sum() / 30 - fake.var(0).sum() / 50
    assert kernel_distance(real, fake, 1, 1.0, 0.0).item() == pytest.approx(expected.item())


def test_a_set_against_itself_is_below_zero_by_the_diagonal():
    x = features(20, 3, 2)
    k = (x @ x.T / 3 + 1) ** 3
    off = (k.sum() - k.diagonal().sum()) / (20 * 19)
    assert kernel_distance(x, x).item() == pytest.approx(2 / 20 * (off - k.diagonal().mean()).item())
    assert kernel_distance(x, x) < 0


@given(
    n=st.integers(2, 9),
    m=st.integers(2, 9),
    d=st.integers(1, 5),
    degree=st.integers(1, 4),
    coef=st.sampled_from([0.0, 1.0, 2.5]),
    seed=st.integers(0, 999),
)
def test_agrees_with_the_sum_over_pairs_in_either_order(n: int, m: int, d: int, degree: int, coef: float, seed: int):
    real, fake = features(n, d, seed), features(m, d, seed + 1000)
    there = kernel_distance(real, fake, degree, None, coef).item()
    assert there == pytest.approx(reference(real.numpy(), fake.numpy(), degree, 0, coef), rel=1e-8, abs=1e-8)
    back = kernel_distance(fake.flip(0), real.roll(1, 0), degree, None, coef).item()
    assert back == pytest.approx(there, rel=1e-8, abs=1e-8)


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch):
    real, fake = features(23, 5, 3), features(17, 5, 4)
    whole = kernel_distance(real, fake).item()
    monkeypatch.setattr(kernel, "BLOCK", 4)
    assert kernel_distance(real, fake).item() == pytest.approx(whole, rel=1e-10)


def test_unbiased():
    """Over 200 pairs of draws of one distribution the mean is 0 within its error; with the diagonal it would not be."""
    rng = torch.Generator().manual_seed(5)
    draws = torch.randn(200, 2, 10, 2, generator=rng, dtype=torch.float64)
    scores = torch.stack([kernel_distance(real, fake) for real, fake in draws])
    assert abs(scores.mean()) < 4 * scores.std() / 200**0.5
    assert (scores < 0).sum() > 50


def test_single_precision_is_taken_as_it_is():
    """Features of 10,000 samples in float32 give what the same numbers give in float64."""
    real, fake = features(50, 8, 6).float() * 100, features(50, 8, 7).float() * 100
    assert kernel_distance(real, fake).item() == kernel_distance(real.double(), fake.double()).item()
