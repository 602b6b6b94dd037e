"""Intervals by hand, their symmetries, and how often they cover what they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ganduel.compare import interval
from ganduel.compare.interval import mean_interval, proportion_interval


def limits(values: np.ndarray, level: float = 0.95) -> np.ndarray:
    """Low and high as one array."""
    return np.array(mean_interval(values, level))


curves = st.builds(
    lambda n, t, seed: np.random.default_rng(seed).gamma(2, size=(n, t)),
    n=st.integers(2, 9),
    t=st.integers(1, 5),
    seed=st.integers(0, 99),
)


def test_three_values_by_hand():
    """1, 2, 6: of 27 resamples one is 1, 1, 1, one 6, 6, 6; they are the quantiles, 2 below and 3 above the mean."""
    factor = np.sqrt(3 / 2) * stats.t.ppf(0.975, 2) / stats.norm.ppf(0.975)
    low, high = mean_interval(np.array([1.0, 2.0, 6.0]))
    assert (low.item(), high.item()) == pytest.approx((3 - 2 * factor, 3 + 3 * factor))
    assert low.shape == ()


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_all_resamples_of_few_values(n: int):
    """Every tuple of n values enters once: the mean of their means is the mean, and each counts n values."""
    counts = interval.resamples(n, 0)
    assert counts.shape == (n**n, n)
    assert (counts.sum(1) == n).all()
    assert (counts.sum(0) == n**n).all()
    assert len(np.unique(counts, axis=0)) == {2: 3, 3: 10, 4: 35, 5: 126}[n]


@pytest.mark.parametrize("n", [6, 10, 30])
def test_drawn_resamples_have_the_moments_of_all(n: int):
    """A count is binomial with n draws and probability 1/n; each resample has its mirror image."""
    counts = interval.resamples(n, 0)
    assert counts.shape == (interval.DRAWS, n)
    assert (counts.sum(1) == n).all()
    assert counts.var(0) == pytest.approx(1 - 1 / n, rel=0.15)
    assert sorted(map(tuple, counts)) == sorted(map(tuple, counts[:, ::-1]))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [10, 50])
def test_is_students_for_normal_values(n: int, level: float):
    values = np.random.default_rng(0).normal(size=(n, 200))
    low, high = mean_interval(values, level)
    student = stats.t.ppf((1 + level) / 2, n - 1) * stats.sem(values)
    assert np.median((high - low) / (2 * student)) == pytest.approx(1, abs=0.06)


def test_leans_to_the_long_tail():
    values = np.random.default_rng(0).exponential(size=(10, 200))
    low, high = mean_interval(values)
    assert np.median((high - values.mean(0)) / (values.mean(0) - low)) > 1.1


@given(curves, st.floats(-1000, 1000), st.floats(0.01, 100))
def test_moves_with_shift_and_scale_and_turns_with_the_sign(values: np.ndarray, shift: float, scale: float):
    low, high = mean_interval(values)
    assert (low < values.mean(0)).all()
    assert (high > values.mean(0)).all()
    assert limits(shift + scale * values) == pytest.approx(shift + scale * np.array([low, high]), rel=1e-9, abs=1e-9)
    assert limits(-values) == pytest.approx(-np.array([high, low]))


@given(curves, st.integers(0, 99))
def test_runs_have_no_order_and_columns_no_neighbours(values: np.ndarray, seed: int):
    both = limits(values)
    assert limits(np.random.default_rng(seed).permutation(values)) == pytest.approx(both)
    one_by_one = np.array([limits(column) for column in values.T]).T
    assert one_by_one == pytest.approx(both)


def test_levels_are_nested():
    values = np.random.default_rng(0).normal(size=(5, 20))
    (low90, high90), (low95, high95) = mean_interval(values, 0.9), mean_interval(values, 0.95)
    assert (low95 < low90).all()
    assert (high90 < high95).all()


def test_columns_are_over_the_runs_still_there():
    values = np.random.default_rng(0).normal(size=(7, 5))
    values[5:, 1:], values[1, 2], values[1:, 3], values[:, 4] = np.nan, np.inf, np.nan, np.nan
    ends = limits(values)
    for column, there in enumerate([values[:, 0], values[:5, 1], values[[0, 2, 3, 4], 2]]):
        assert ends[:, column] == pytest.approx(limits(there))
    assert np.isnan(ends[:, 3:]).all()


@pytest.mark.parametrize("shape", [(0,), (1,), (0, 3), (1, 3), (2, 0)])
def test_one_run_has_no_interval(shape: tuple[int, ...]):
    low, high = mean_interval(np.ones(shape))
    assert low.shape == high.shape == shape[1:]
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("n", [2, 5, 20])
def test_values_all_alike_have_an_interval_of_no_length(n: int):
    low, high = mean_interval(np.full(n, 0.1))
    assert low == high == 0.1


def test_integers_are_values_too():
    assert (limits(np.array([1, 2, 6])) == limits(np.array([1.0, 2.0, 6.0]))).all()


@given(st.integers(1, 60), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilsons_interval_is_scipys(n: int, data: st.DataObject, level: float):
    successes = data.draw(st.integers(0, n))
    expected = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert proportion_interval(successes, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_shares_at_the_ends():
    """No collapse in ten runs does not rule out one in four; of no runs nothing is known."""
    low, high = proportion_interval(0, 10)
    assert (low, high) == (0.0, pytest.approx(0.2775, abs=1e-4))
    assert proportion_interval(10, 10)[1] == 1.0
    assert proportion_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("values", "bounds"),
    [([0.02, 0.07], (0.0, np.inf)), ([0.7, 1.0, 0.99], (0.0, 1.0)), ([8.0, 8.0, 7.0, 1.0], (0.0, 8.0))],
)
def test_an_interval_ends_at_the_bounds_of_its_quantity(values: list[float], bounds: tuple[float, float]):
    """A recall is at most 1; where the interval stays within anyway nothing changes."""
    free, bounded = limits(np.array(values)), np.array(mean_interval(np.array(values), bounds=bounds))
    assert (bounded == free.clip(*bounds)).all()
    assert (bounded != free).any()


def test_bounds_that_the_values_exceed_are_widened_to_them():
    """A distance of −1e-15 by rounding, or a user's metric that is wrong about its range: the mean stays inside."""
    low, high = mean_interval(np.array([-2.0, 3.0]), bounds=(0.0, 1.0))
    assert (low, high) == (-2.0, 3.0)
    both = np.array([[0.1, np.nan], [0.2, np.nan]])
    assert np.isnan(np.array(mean_interval(both, bounds=(0.0, 1.0)))[:, 1]).all()


def test_bounds_of_a_difference():
    assert interval.difference_bounds((0.0, 8.0)) == (-8.0, 8.0)
    assert interval.difference_bounds((0.0, np.inf)) == (-np.inf, np.inf)


def test_what_an_interval_cannot_cover():
    """0.8⁵ = 0.328 of all sets of five have no collapse, where one run in five collapses."""
    note = str(interval.collapse_note(5))
    assert "5 runs show none in 33% of cases" in note
    assert note.endswith("its coverage is at most 67%.")
    assert [n for n in range(30) if interval.collapse_note(n)] == list(range(2, 14))


SETS = 20_000


def coverage(values: np.ndarray, truth: float, bounds: interval.Bounds = interval.UNBOUNDED) -> float:
    """The share of columns whose interval holds the true mean."""
    intervals = [mean_interval(part, bounds=bounds) for part in np.array_split(values, 20, axis=1)]
    low, high = np.concatenate(intervals, axis=1)
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 10, 20])
class TestCoverage:
    """Twenty thousand sets give the coverage within 0.2 %."""

    def test_normal(self, n: int):
        assert 0.94 < coverage(np.random.default_rng(n).normal(3, 2, (n, SETS)), 3.0) < 0.96

    def test_paired_differences_of_skewed_values(self, n: int):
        """What pairs share, here half of the log's variance, cancels in part; the means of first and second differ."""
        rng = np.random.default_rng(n)
        shared = rng.normal(0, 0.35, (n, SETS))
        first, second = (np.exp(mu + shared + rng.normal(0, 0.35, (n, SETS))) for mu in (0.0, 0.2))
        assert 0.93 < coverage(first - second, np.exp(0.35**2) * (1 - np.exp(0.2))) < 0.97

    def test_mildly_skewed(self, n: int):
        """A gamma distribution of skewness 1: Student's interval has 93 % for five too."""
        assert 0.92 < coverage(np.random.default_rng(n).gamma(4, size=(n, SETS)), 4.0) < 0.96

    def test_one_run_in_five_collapses(self, n: int):
        """The note's bound holds and is nearly reached, with the interval cut off at the quantity's bounds."""
        rng = np.random.default_rng(n)
        values = np.where(rng.random((n, SETS)) < 0.2, rng.beta(1, 50, (n, SETS)), rng.beta(80, 20, (n, SETS)))
        share = coverage(values, 0.2 / 51 + 0.8 * 0.8, bounds=(0.0, 1.0))
        assert min(1 - 0.8**n, 0.93) - 0.03 < share < min(1 - 0.8**n, 0.95) + 0.01
