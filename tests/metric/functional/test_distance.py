"""Both kinds of distance against plain numpy, and what each promises: exact ties, or indifference to the origin."""

import numpy as np
import pytest
import torch

from ganduel.metric.functional.distance import BLOCK, distances, squared_distances


def points(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reference(x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    return np.linalg.norm(x.numpy()[:, None] - y.numpy()[None], axis=-1)


@pytest.mark.parametrize("d", [1, 2, 7, 130])
def test_both_are_euclidean(d: int):
    x, y = points(40, d, 0), points(60, d, 1)
    assert distances(x, y).numpy() == pytest.approx(reference(x, y), rel=1e-12)
    assert squared_distances(x, y)[0].numpy() == pytest.approx(reference(x, y) ** 2, rel=1e-9, abs=1e-12)


def test_a_right_triangle():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    assert distances(x, x).tolist() == [[0, 5], [5, 0]]
    assert squared_distances(x, x)[0].tolist() == [[0, 25], [25, 0]]


def test_differences_give_equal_points_no_distance_and_equal_pairs_one():
    """Wherever they stand in the matrix, and far from the origin: the expansion into products would not."""
    x = 1e3 + points(300, 37, 2)
    apart = distances(x, x)
    assert (apart.diagonal() == 0).all()
    assert (apart == apart.T).all()
    order = torch.randperm(300, generator=torch.Generator().manual_seed(3))
    assert (distances(x[order[:50]], x) == apart[order[:50]]).all()


def test_near_points_far_away():
    """1e-6 apart at 1e4: by differences right to the digits that float64 leaves of the coordinates."""
    x = torch.tensor([[1e4, 0.0]], dtype=torch.float64)
    assert distances(x, x + 1e-6).item() == pytest.approx(1e-6 * 2**0.5, rel=1e-5)


def test_products_do_not_depend_on_the_origin_and_are_never_negative():
    x, y = points(50, 20, 4), points(50, 20, 5)
    shifted, _ = squared_distances(x + 1e6, y + 1e6)
    assert shifted.numpy() == pytest.approx(squared_distances(x, y)[0].numpy(), rel=1e-7)
    assert (squared_distances(x, x)[0] >= 0).all()


@pytest.mark.parametrize("d", [1, 3, 50, 800])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_error_is_within_its_bound_and_the_bound_is_small(d: int, scale: float):
    """Of far points, near copies and copies, beside an outlier."""
    x = points(100, d, 6) * scale
    y = torch.cat([x, x + 1e-9 * points(100, d, 7) * scale, points(100, d, 8) * scale + 30 * scale])
    square, bound = squared_distances(x, y)
    assert ((square - distances(x, y).square()).abs() <= bound).all()
    assert (bound <= 1e-12 * (d + 8) * y.square().sum(1).max()).all()


def test_a_batch_is_measured_to_the_same_digits():
    """Radii are measured to a few candidates, distances to whole sets: both must agree in the last digit."""
    x, y = points(20, 33, 9), points(30, 33, 10)
    order = torch.stack([torch.randperm(30, generator=torch.Generator().manual_seed(i))[:7] for i in range(20)])
    assert (distances(x[:, None], y[order]).squeeze(1) == distances(x, y).gather(1, order)).all()


def test_a_block_against_ten_thousand_rows_stays_below_100_megabytes():
    assert BLOCK * 10_000 * 8 <= 1e8
