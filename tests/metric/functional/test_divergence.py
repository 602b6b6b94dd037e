"""Quadrature against closed forms: equal, disjoint and known densities, one or more dimensions, and the best D."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganduel.errors import UserError
from ganduel.metric.functional.divergence import grid, jensen_shannon, optimal_discriminator

INF = math.inf


def gaussian(x: torch.Tensor, mean: float, sigma: float = 1.0) -> torch.Tensor:
    square = ((x - mean) / sigma).square().sum(1)
    return -square / 2 - x.shape[1] * math.log(sigma * math.sqrt(2 * math.pi))


def reference(p: np.ndarray, q: np.ndarray, cell: float) -> float:
    """H(m) − H(p)/2 − H(q)/2 by differential entropies."""

    def entropy(density: np.ndarray) -> float:
        positive = density[density > 0]
        return float(-(positive * np.log(positive)).sum() * cell)

    return entropy((p + q) / 2) - entropy(p) / 2 - entropy(q) / 2


def test_a_grid_is_the_midpoints_of_its_cells():
    x, cell = grid([0.0], [2.0], 4)
    assert x.tolist() == [[0.25], [0.75], [1.25], [1.75]]
    assert cell == 0.5


def test_the_last_coordinate_of_a_grid_changes_fastest():
    x, cell = grid([0.0, 10.0], [2.0, 14.0], 2)
    assert x.tolist() == [[0.5, 11.0], [0.5, 13.0], [1.5, 11.0], [1.5, 13.0]]
    assert cell == 2.0


@given(d=st.integers(1, 3), points=st.integers(1, 6), low=st.floats(-5, 5), width=st.floats(0.1, 9))
def test_cells_fill_the_box_around_its_middle(d: int, points: int, low: float, width: float):
    x, cell = grid([low] * d, torch.full((d,), low + width, dtype=torch.float64), points)
    assert x.shape == (points**d, d)
    assert cell * len(x) == pytest.approx(width**d, rel=1e-6)
    assert x.mean(0).tolist() == pytest.approx([low + width / 2] * d, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("lower", "upper", "points"),
    [([0.0], [0.0], 3), ([1.0], [0.0], 3), ([0.0], [1.0], 0), ([0.0], [1.0, 2.0], 3), ([], [], 3)],
)
def test_a_box_without_volume_has_no_grid(lower: list, upper: list, points: int):
    with pytest.raises(UserError, match="No grid of"):
        grid(lower, upper, points)


def test_equal_densities_are_at_no_distance():
    x, cell = grid([-9.0], [9.0], 500)
    assert jensen_shannon(gaussian(x, 1.0), gaussian(x, 1.0), cell).item() == pytest.approx(0, abs=1e-14)


def test_disjoint_densities_are_log_2_apart():
    """Uniform on [0, 1] and on [1, 2], with logs of −inf, at places in both; and two far Gaussians."""
    x, cell = grid([0.0], [3.0], 300)
    p, q = (torch.where((x[:, 0] > low) & (x[:, 0] < low + 1), 0.0, -INF) for low in (0, 1))
    assert jensen_shannon(p, q, cell).item() == pytest.approx(math.log(2))
    x, cell = grid([-60.0], [60.0], 6000)
    far = jensen_shannon(gaussian(x, -50.0), gaussian(x, 50.0), cell).item()
    assert far == pytest.approx(math.log(2))


def test_uniform_densities_that_overlap_by_half():
    """[0, 2] and [1, 3], each of density 1/2: on the common half p = m, on the rest p = 2 m, so log(2) / 2."""
    x, cell = grid([0.0], [3.0], 300)
    p, q = (torch.where((x[:, 0] > low) & (x[:, 0] < low + 2), math.log(0.5), -INF) for low in (0, 1))
    assert jensen_shannon(p, q, cell).item() == pytest.approx(math.log(2) / 2)


def test_a_small_shift_costs_an_eighth_of_the_fisher_information():
    """JS of N(0, 1) and N(ε, 1) is ε²/8 to the leading order."""
    x, cell = grid([-10.0], [10.0], 2000)
    assert jensen_shannon(gaussian(x, 0.0), gaussian(x, 1e-3), cell).item() == pytest.approx(1e-6 / 8, rel=1e-4)


@given(mean=st.floats(-3, 3), sigma=st.floats(0.3, 2), d=st.integers(1, 2))
def test_symmetric_bounded_and_the_difference_of_entropies(mean: float, sigma: float, d: int):
    x, cell = grid([-14.0] * d, [14.0] * d, (4000, 140)[d - 1])
    p, q = gaussian(x, 0.0), gaussian(x, mean, sigma)
    there = jensen_shannon(p, q, cell).item()
    assert -1e-12 <= there <= math.log(2) + 1e-9
    assert there == pytest.approx(jensen_shannon(q, p, cell).item(), abs=1e-12)
    assert there == pytest.approx(reference(p.exp().numpy(), q.exp().numpy(), cell), abs=1e-9)


def test_shape_is_of_no_account_and_single_precision_is_summed_in_double():
    x, cell = grid([-8.0, -8.0], [8.0, 8.0], 80)
    p, q = gaussian(x, 0.0), gaussian(x, 1.0)
    flat = jensen_shannon(p, q, cell).item()
    assert jensen_shannon(p.reshape(80, 80), q.reshape(80, 80), cell).item() == pytest.approx(flat, rel=1e-12)
    assert jensen_shannon(p.float(), q.float(), cell).item() == pytest.approx(flat, rel=1e-5)


def test_the_best_discriminator_by_hand():
    """D* is p/(p + q) with p as real: 3/4 where p is three times q; swapped it would be 1/4."""
    p, q = torch.tensor([3.0, 1.0, 2.0]).log(), torch.tensor([1.0, 3.0, 2.0]).log()
    assert optimal_discriminator(p, q).tolist() == pytest.approx([0.75, 0.25, 0.5])


def test_the_best_discriminator_where_a_density_is_nothing():
    p, q = torch.tensor([0.0, -INF, -2000.0, -INF]), torch.tensor([-INF, 0.0, -2001.0, -INF])
    best = optimal_discriminator(p, q).tolist()
    assert best[:3] == pytest.approx([1, 0, 1 / (1 + math.exp(-1))])
    assert math.isnan(best[3])


def test_the_value_of_the_game_with_the_best_discriminator():
    """E_p[log D*] + E_q[log(1 − D*)] = 2 JS − 2 log 2, theorem 1."""
    x, cell = grid([-12.0], [12.0], 4000)
    p, q = gaussian(x, -1.0), gaussian(x, 1.0, 0.7)
    best = optimal_discriminator(p, q)
    value = ((p.exp() * best.log()).sum() + (q.exp() * optimal_discriminator(q, p).log()).sum()).item() * cell
    assert value == pytest.approx(2 * jensen_shannon(p, q, cell).item() - 2 * math.log(2), abs=1e-9)


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("function", [lambda p, q: jensen_shannon(p, q, 0.1), optimal_discriminator])
def test_what_is_no_pair_of_densities(function):
    flat = torch.zeros(4)
    for bad in (torch.tensor([0.0, 0.0, math.nan, 0.0]), torch.tensor([0.0, INF, 0.0, 0.0])):
        with pytest.raises(UserError, match="log_p is NaN or infinite"):
            function(bad, flat)
        with pytest.raises(UserError, match="log_q is NaN or infinite"):
            function(flat, bad)
    with pytest.raises(UserError, match=r"\(4,\) and \(4, 1\)"):
        function(flat, flat[:, None])
