"""Precision, recall, density and coverage: by hand, against loops, in ties and copies, and with unlike sets."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganduel.errors import UserError
from ganduel.metric.functional import neighbours
from ganduel.metric.functional.neighbours import density_coverage, knn_radii, neighbourhood, precision_recall


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def column(*x: float) -> torch.Tensor:
    return torch.tensor(x, dtype=torch.float64)[:, None]


def scores(real: torch.Tensor, fake: torch.Tensor, k: int) -> list[float]:
    return [score.item() for score in (*precision_recall(real, fake, k), *density_coverage(real, fake, k))]


def reference(real: np.ndarray, fake: np.ndarray, k: int) -> list[float]:
    """The definitions, with whole matrices."""
    real, fake = real.astype(float), fake.astype(float)

    def between(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))

    def reach(x: np.ndarray) -> np.ndarray:
        others = between(x, x)
        np.fill_diagonal(others, np.inf)
        return np.sort(others, 1)[:, k - 1]

    held = between(real, fake) <= reach(real)[:, None]
    reached = between(real, fake) <= reach(fake)[None]
    return [held.any(0).mean(), reached.any(1).mean(), held.sum() / (k * len(fake)), held.any(1).mean()]


def test_by_hand_on_a_line():
    """Reach at k = 1: real 0, 1, 3 → 1, 1, 2; fake 2, 10 → 8, 8. Fake 2 is in the balls of 1 and 3, 10 in none."""
    assert scores(column(0, 1, 3), column(2, 10), 1) == pytest.approx([1 / 2, 1, 2 / 2, 2 / 3])


def test_a_sample_is_no_neighbour_of_its_own():
    assert knn_radii(column(0, 1, 3, 7), 1)[0].tolist() == [1, 1, 2, 4]
    assert [r.tolist() for r in knn_radii(column(0, 1, 3, 7), 2, 1)] == [[3, 2, 3, 6], [1, 1, 2, 4]]


def test_a_tight_cluster_inside_a_wide_cloud_is_precise_and_recalls_little():
    """Swapped arguments fail here: the cloud as fakes is imprecise and has full recall."""
    wide, tight = normal(300, 2, 0), 0.05 * normal(300, 2, 1)
    precision, recall = precision_recall(wide, tight)
    assert precision > 0.99
    assert recall < 0.1
    density, coverage = density_coverage(wide, tight)
    assert density > 0.7
    assert coverage < 0.2
    assert density_coverage(tight, wide).density < 0.2


def test_one_fake_mode_of_two():
    """Half the real samples have a fake near, and all fakes a real sample."""
    real = torch.cat([normal(200, 3, 2), normal(200, 3, 3) + 50])
    precision, recall, density, coverage = scores(real, normal(400, 3, 4), 5)
    assert precision > 0.9
    assert 0.3 < recall <= 0.5
    assert density > 0.7
    assert 0.4 < coverage <= 0.5


def test_far_apart_nothing_is_found():
    assert scores(normal(50, 2, 5), normal(50, 2, 6) + 1000, 3) == [0, 0, 0, 0]


def test_an_outlier_among_the_real_swells_precision_and_not_density():
    """Why density counts balls: one far real sample reaches over everything between."""
    real, fake = torch.cat([normal(200, 2, 7), column(1000).expand(1, 2)]), normal(200, 2, 8) + 20
    assert precision_recall(real, fake).precision == 1
    assert density_coverage(real, fake).density == pytest.approx(1 / 5)


@given(n=st.integers(6, 20), m=st.integers(6, 20), d=st.integers(1, 4), k=st.integers(1, 5), seed=st.integers(0, 999))
def test_agrees_with_the_definitions(n: int, m: int, d: int, k: int, seed: int):
    """On a coarse lattice, where copies and equal distances abound."""
    rng = torch.Generator().manual_seed(seed)
    real, fake = (torch.randint(4, (size, d), generator=rng).float() for size in (n, m))
    assert scores(real, fake, k) == pytest.approx(reference(real.numpy(), fake.numpy(), k))


@given(seed=st.integers(0, 999), k=st.integers(1, 4))
def test_recall_is_precision_the_other_way_round_and_order_is_nothing(seed: int, k: int):
    real, fake = normal(15, 2, seed), normal(12, 2, seed + 1000) * 2
    there, back = precision_recall(real, fake, k), precision_recall(fake.flip(0), real.roll(4, 0), k)
    assert (there.precision, there.recall) == (back.recall, back.precision)
    assert density_coverage(real, fake, k) == density_coverage(real.flip(0), fake.roll(3, 0), k)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_fakes_that_copy_the_real_samples(k: int):
    """Each ball holds its own k neighbours' copies and that of its centre, to the last one, at any place and scale."""
    real = normal(300, 20, 9) * 1e-3 + 7
    fake = real[torch.randperm(300, generator=torch.Generator().manual_seed(10))]
    assert scores(real, fake, k) == pytest.approx([1, 1, (k + 1) / k, 1])


def test_one_point_repeated():
    """Radii of 0: copies are inside, anything else is outside."""
    real, fake = torch.ones(10, 3) / 3, torch.cat([torch.ones(6, 3) / 3, torch.ones(6, 3) / 3 + 1e-6])
    assert scores(real, fake[:6], 3) == [1, 1, 10 / 3, 1]
    assert precision_recall(real, fake, 3) == (1 / 2, 1)
    assert density_coverage(real, fake, 3) == (10 / 6, 1)


def test_near_copies_far_from_the_origin_keep_their_order():
    """1e-4 apart at 1e4, where products would err by as much: half way to the next is inside, 100 steps on is not."""
    real = (torch.arange(8).double() * 1e-4 + 1e4)[:, None].expand(8, 3)
    assert scores(real, real + 0.5e-4, 1)[:2] == [1, 1]
    assert scores(real[:4], real[:4] + 1e-2, 1) == [0, 0, 0, 0]


def test_the_fast_way_decides_as_differences_do(monkeypatch: pytest.MonkeyPatch):
    """Whole, half and near copies, an outlier, a lattice: with and without the bound that sends all to differences."""
    x, lattice = normal(200, 6, 13), torch.randint(3, (200, 6), generator=torch.Generator().manual_seed(14)).float()
    x[:80] = x[0]
    x[80:100] = x[100:120] + 1e-9
    x[199] = 1e6
    pairs = [(x, x.flip(0)), (x, normal(200, 6, 15)), (x[100:], x[:120].double() + 1e-12), (lattice, lattice[:90])]
    fast = [scores(real, fake, 3) for real, fake in pairs]
    products = neighbours.squared_distances
    monkeypatch.setattr(
        neighbours, "squared_distances", lambda x, y: (products(x, y)[0], torch.full((len(x), 1), torch.inf))
    )
    assert [scores(real, fake, 3) for real, fake in pairs] == fast


def test_differences_are_left_for_what_products_leave_open(monkeypatch: pytest.MonkeyPatch):
    """Else it would be right, and slow: without ties only candidates are measured, n (k + 1 + extra) pairs per set."""
    measured, plain = [], neighbours.distances
    monkeypatch.setattr(neighbours, "distances", lambda x, y: measured.append(plain(x, y).numel()) or plain(x, y))
    scores(normal(300, 10, 16), normal(200, 10, 17), 3)
    assert sum(measured) == (300 + 200 + 300) * (3 + 1 + neighbours.EXTRA_CANDIDATES)


def test_independent_draws_of_one_distribution():
    """Density has the mean 1; coverage is near 1 − 2^−k."""
    draws = [density_coverage(normal(200, 2, 2 * i), normal(200, 2, 2 * i + 1)) for i in range(60)]
    assert np.mean([draw.density.item() for draw in draws]) == pytest.approx(1, abs=0.02)
    expected = 1 - math.prod((200 - i) / (400 - i) for i in range(1, 6))
    assert np.mean([draw.coverage.item() for draw in draws]) == pytest.approx(expected, abs=0.01)


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch):
    real, fake = normal(37, 3, 11), normal(29, 3, 12) + 0.5
    whole = scores(real, fake, 3)
    assert 0 < whole[0] < 1
    monkeypatch.setattr(neighbours, "BLOCK", 5)
    assert scores(real, fake, 3) == whole


@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
def test_each_sample_needs_k_others(metric):
    metric(normal(4, 2, 0), normal(4, 2, 1), 3)
    for sizes in ((3, 4), (4, 3)):
        with pytest.raises(UserError, match=r"needs 4 or more\..*lower k=3"):
            metric(normal(sizes[0], 2, 0), normal(sizes[1], 2, 1), 3)
    with pytest.raises(UserError, match="k=0 is no number of neighbours"):
        metric(normal(4, 2, 0), normal(4, 2, 1), 0)


@pytest.mark.parametrize(("k", "k_coverage"), [(3, 5), (5, 3), (4, 4)])
def test_all_at_once_are_the_same(k, k_coverage):
    real, fake = torch.randn(1300, 4), torch.randn(1100, 4) * 0.7
    apart = (*precision_recall(real, fake, k), *density_coverage(real, fake, k_coverage))
    torch.testing.assert_close(torch.stack(neighbourhood(real, fake, k, k_coverage)), torch.stack(apart))


def test_order_among_near_points_beside_a_far_one():
    """Distances far below what products can tell, since one point is far: their order comes from differences."""
    near = torch.randn(60, 3, dtype=torch.float64) * 1e-9
    x = torch.cat([near, torch.full((1, 3), 1e3, dtype=torch.float64)])
    exact = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").sort().values
    for k, found in zip((1, 3), knn_radii(x, 1, 3), strict=True):
        torch.testing.assert_close(found, exact[:, k], rtol=1e-12, atol=0)
