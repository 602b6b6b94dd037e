"""The Fréchet distance against closed forms, scipy's matrix root, and sets without full rank."""

import numpy as np
import pytest
import torch
from torch import linalg

from ganduel.metric.functional.frechet import frechet_distance


def features(n: int, d: int, seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng) @ torch.randn(d, d, generator=rng) + torch.randn(d, generator=rng)


def reference(real: np.ndarray, fake: np.ndarray) -> float:
    """The formula, by the eigenvalues of the plain product: Tr((Σ_r Σ_f)^½) = Σ sqrt(λ)."""
    covariances = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(min=0)).sum()
    return ((real.mean(0) - fake.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1]) - 2 * roots


def test_agrees_with_the_formula_written_out():
    real, fake = features(300, 5, 0), features(200, 5, 1)
    assert frechet_distance(real, fake).item() == pytest.approx(reference(real.double().numpy(), fake.double().numpy()))


def test_a_shift_costs_its_square_and_a_set_is_at_no_distance_from_itself():
    x = features(100, 4, 2)
    assert frechet_distance(x, x).item() == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + torch.tensor([3.0, 0, 4.0, 0])).item() == pytest.approx(25, rel=1e-5)


def test_one_dimension_is_the_difference_of_means_and_of_standard_deviations():
    real, fake = torch.tensor([[0.0], [2.0]]), torch.tensor([[10.0], [16.0]])
    sigma = [x.double().std().item() for x in (real, fake)]
    assert frechet_distance(real, fake).item() == pytest.approx(12**2 + (sigma[1] - sigma[0]) ** 2)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_symmetric_and_stable_where_the_covariance_lacks_rank(scale: float):
    """Five samples in fifty dimensions: rank 4."""
    real, fake = scale * features(5, 50, 3), scale * features(5, 50, 4)
    there, back = frechet_distance(real, fake).item(), frechet_distance(fake, real).item()
    assert there > 0
    assert there == pytest.approx(back, rel=1e-9)
    assert frechet_distance(real, real).item() == pytest.approx(0, abs=1e-8 * linalg.norm(real).item() ** 2)
