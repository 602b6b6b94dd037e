"""Statistics of a few paired runs against scipy, by hand and by simulation."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from ganduel.compare.interval import mean_interval
from ganduel.compare.statistics import (
    FLIPS,
    Difference,
    difference,
    effect_size,
    holm,
    seeds_needed,
    sign_flip_p,
    summary,
    wins,
)


def drawn(n: int, mean: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, n)


pairs = st.builds(drawn, st.integers(3, 9), st.floats(-2, 2), st.integers(0, 99))
# Hundredths, so that there are ties and zeros whose floats are not exact.
hundredths = st.lists(st.integers(-30, 30), min_size=2, max_size=8).map(lambda whole: np.array(whole) / 100)


def test_summary_by_hand():
    result = summary(np.array([4.0, 1.0, np.nan, 2.0, 3.0, 10.0]))
    assert (result.n, result.mean, result.median, result.q25, result.q75) == (5, 4.0, 3.0, 2.0, 4.0)
    assert result.sd == pytest.approx(math.sqrt((9 + 4 + 1 + 0 + 36) / 4))
    assert (result.low, result.high) == mean_interval(np.array([1.0, 2.0, 3.0, 4.0, 10.0]))
    with pytest.raises(FrozenInstanceError):
        result.n = 6  # pyright: ignore[reportAttributeAccessIssue]


def test_summary_of_one_and_of_none():
    one = summary(np.array([2.0]))
    assert (one.n, one.mean, one.median, one.q25, one.q75) == (1, 2.0, 2.0, 2.0, 2.0)
    assert np.isnan([one.sd, one.low, one.high]).all()
    none = summary(np.array([np.nan]))
    assert none.n == 0
    assert np.isnan([none.mean, none.median, none.q25, none.q75, none.sd, none.low, none.high]).all()


def test_difference_is_first_less_second_and_drops_broken_pairs():
    first, second = np.array([1.0, np.nan, 3.0, 5.0, 4.0]), np.array([2.0, 1.0, 5.0, np.inf, 7.0])
    result = difference(first, second)
    d = np.array([-1.0, -2.0, -3.0])
    low, high = mean_interval(d)
    assert result == Difference(
        n=3,
        mean=-2.0,
        low=low.item(),
        high=high.item(),
        p=0.25,
        effect=effect_size(d),
        wins=1.0,
        needed=seeds_needed(d),
    )
    assert result.low < result.mean < result.high


@given(pairs, st.integers(0, 99))
def test_difference_the_other_way_round(d: np.ndarray, seed: int):
    second = drawn(len(d), 0, seed)
    there, back = difference(second + d, second), difference(second, second + d)
    assert (back.mean, back.effect, back.wins) == pytest.approx((-there.mean, -there.effect, 1 - there.wins))
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert (back.p, back.needed) == (there.p, there.needed)


def test_difference_without_pairs():
    result = difference(np.array([np.nan, 1.0]), np.array([1.0, np.nan]))
    assert (result.n, result.needed) == (0, None)
    assert np.isnan([result.mean, result.low, result.high, result.p, result.effect, result.wins]).all()


def test_pairs_have_partners():
    with pytest.raises(AssertionError, match=r"pairs of \(3,\) and \(2,\)"):
        difference(np.ones(3), np.ones(2))


@pytest.mark.parametrize("n", [1, 2, 5, 6, 10, 16])
def test_one_sign_has_the_smallest_p(n: int):
    """Two of 2^n choices are as far out, all plus and all minus: 1/16 for five pairs, so 0.05 takes six."""
    assert sign_flip_p(np.arange(1.0, n + 1)) == 2 / 2**n
    assert sign_flip_p(-np.arange(1.0, n + 1)) == 2 / 2**n


def test_sign_flip_by_hand():
    """±1 ± 2 ± 4 against −1 + 2 + 4 = 5: 7, 5 and their negatives reach it."""
    assert sign_flip_p(np.array([-1.0, 2.0, 4.0])) == 4 / 8


@given(hundredths)
@example(np.array([-0.08, -0.09, 0.08, 0.09]))
def test_sign_flip_is_scipys(d: np.ndarray):
    """Ties by rounding count; scipy, whose tolerance at a sum of 0 is 0, gets whole numbers, and zeros for a pair."""
    whole = np.round(100 * d)
    expected = stats.permutation_test(
        (whole, np.zeros_like(d)), lambda x, y: abs(np.sum(x - y)), permutation_type="samples", alternative="greater"
    )
    assert sign_flip_p(d) == pytest.approx(expected.pvalue)


@given(hundredths, st.integers(1, 1000), st.integers(0, 99))
def test_sign_flip_has_no_scale_order_or_direction(d: np.ndarray, scale: int, seed: int):
    p = sign_flip_p(d)
    assert sign_flip_p(-d * scale / 7) == p
    assert sign_flip_p(np.random.default_rng(seed).permutation(d)) == p
    assert sign_flip_p(np.append(d, [0.0, np.nan])) == p


def test_no_difference_at_all():
    assert sign_flip_p(np.zeros(5)) == 1.0
    assert math.isnan(sign_flip_p(np.array([])))


def test_sums_that_are_equal_on_paper_are_equal():
    """0.1 + 0.2 − 0.3 is 6e-17: no flip may fall below it."""
    assert sign_flip_p(np.array([0.1, 0.2, -0.3])) == 1.0


def test_many_pairs_are_flipped_by_chance():
    """Seventeen of one sign have 2/2^17 exactly, and drawn flips are never 0; a middling p is near a t-test's."""
    assert 1 / (1 + FLIPS) <= sign_flip_p(np.ones(17)) <= 6 / (1 + FLIPS)
    d = drawn(30, 0.3, 0)
    p = sign_flip_p(d)
    assert p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.01)
    assert sign_flip_p(-d[::-1]) == p
    assert sign_flip_p(d, seed=1) == pytest.approx(p, abs=0.01)


def test_effect_size_by_hand():
    """1, 2, 3, 4, 5: mean 3, sd √2.5, and J(4) = Γ(2) / (√2 Γ(3/2)) = √(2/π)."""
    assert effect_size(np.arange(1.0, 6)) == pytest.approx(3 / math.sqrt(2.5) * math.sqrt(2 / math.pi))


def test_effect_size_of_differences_whose_squares_vanish_is_unknown():
    tiny = np.array([0.0, 0.0, -9e-239])
    assert math.isnan(effect_size(tiny))
    assert seeds_needed(tiny) is None


def test_effect_size_is_unbiased():
    sizes = np.random.default_rng(0).normal(0.5, 1, (4000, 6))
    effects = np.array([effect_size(d) for d in sizes])
    assert abs(effects.mean() - 0.5) < 4 * effects.std() / math.sqrt(len(effects))


@given(pairs, st.floats(0.01, 100))
def test_effect_size_has_no_unit(d: np.ndarray, scale: float):
    assert effect_size(scale * d) == pytest.approx(effect_size(d))
    assert effect_size(-d) == pytest.approx(-effect_size(d))


@pytest.mark.parametrize("d", [[], [1.0], [1.0, 2.0], [0.0] * 5, [2.0] * 5, [0.3 - 0.1, 0.4 - 0.2, 0.2]])
def test_effect_size_needs_three_pairs_and_spread(d: list[float]):
    assert math.isnan(effect_size(np.array(d)))


def test_wins_by_hand():
    assert wins(np.array([-1.0, -2.0, 0.0, 3.0, np.nan])) == 2.5 / 4
    assert math.isnan(wins(np.array([])))


def test_holm_by_hand():
    """0.01 · 4, 0.02 · 3, max(0.03 · 2, that), and 0.04 · 1 raised to it."""
    assert holm(np.array([0.04, 0.01, 0.03, 0.02])) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([])).shape == (0,)


def test_holm_passes_over_what_could_not_be_compared():
    p_values = np.array([np.nan, 0.01, np.nan, 0.04])
    assert holm(p_values) == pytest.approx([np.nan, 0.02, np.nan, 0.04], nan_ok=True)
    assert p_values[1] == 0.01


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(0, 99), st.floats(0.01, 0.2))
def test_holm_is_the_step_down_procedure(listed: list[float], seed: int, alpha: float):
    """Compare the smallest with α/m, the next with α/(m − 1), …, and stop at the first that is larger."""
    p = np.array(listed)
    adjusted = holm(p)
    rejected, m = set(), len(p)
    for step, i in enumerate(np.argsort(p, kind="stable")):
        if p[i] * (m - step) > alpha:
            break
        rejected.add(int(i))
    assert {int(i) for i in np.flatnonzero(adjusted <= alpha)} == rejected
    order = np.random.default_rng(seed).permutation(m)
    assert (holm(p[order]) == adjusted[order]).all()


def of_effect(delta: float, n: int = 5) -> np.ndarray:
    """Differences whose corrected effect size is delta."""
    shape = np.arange(n) - (n - 1) / 2
    return shape / shape.std(ddof=1) + delta / effect_size(shape / shape.std(ddof=1) + 1)


@pytest.mark.parametrize(("delta", "needed"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_seeds_needed_are_the_textbooks(delta: float, needed: int):
    """What G*Power answers for a paired t-test, two-sided, power 0.8, α 0.05."""
    assert effect_size(of_effect(delta)) == pytest.approx(delta)
    assert seeds_needed(of_effect(delta)) == seeds_needed(of_effect(-delta, 7)) == needed


@pytest.mark.parametrize(("power", "alpha"), [(0.5, 0.05), (0.8, 0.01), (0.9, 0.05), (0.99, 0.2)])
def test_seeds_needed_have_the_power_and_one_fewer_not(power: float, alpha: float):
    def reached(n: int) -> float:
        return float(stats.nct.sf(stats.t.ppf(1 - alpha / 2, n - 1), n - 1, 0.6 * math.sqrt(n)))

    needed = seeds_needed(of_effect(0.6), power, alpha)
    assert needed is not None
    assert reached(needed) >= power > reached(needed - 1)


def test_seeds_needed_reach_alpha_by_sign_flips():
    """However large the effect: 2/2^6 ≤ 0.05, 2/2^8 ≤ 0.01, 2/2^5 ≤ 0.0625."""
    for huge in (of_effect(10.0), of_effect(1e6), np.full(3, 2.0)):
        assert [seeds_needed(huge, alpha=alpha) for alpha in (0.05, 0.01, 0.0625)] == [6, 8, 5]


@pytest.mark.parametrize("d", [[], [1.0], [1.0, 2.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 1.0], [-1.0, 0.0, 1.001]])
def test_seeds_needed_are_none_where_there_is_nothing_to_find(d: list[float]):
    """Too few pairs, no difference, and one so small that 10,000 would not do."""
    assert seeds_needed(np.array(d)) is None


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 6, 10, 20])
def test_sign_flip_keeps_its_level(n: int):
    """No more than 5 % of equal pairs, whose differences are symmetric; five pairs never reach it."""
    sets = np.random.default_rng(n).standard_t(3, (4000 if n <= 10 else 500, n))
    share = np.mean([sign_flip_p(d) <= 0.05 for d in sets])
    assert share == 0 if n == 5 else 0.02 < share <= 0.06


@pytest.mark.slow
def test_holm_keeps_the_familys_level():
    """Five comparisons with one baseline, all null: some rejection in at most 5 % of studies, without Holm in 15 %."""
    rng = np.random.default_rng(0)
    studies = [rng.normal(size=(6, 8)) for _ in range(2000)]
    p_values = np.array([[sign_flip_p(way - runs[0]) for way in runs[1:]] for runs in studies])
    assert np.mean([(holm(p) <= 0.05).any() for p in p_values]) <= 0.06
    assert np.mean((p_values <= 0.05).any(1)) > 0.1


@pytest.mark.slow
def test_power_is_reached_with_the_seeds_needed():
    """Of an effect of 0.8: 15 pairs find it with a t-test in 80 % of studies, and with sign flips hardly less."""
    sets = np.random.default_rng(0).normal(0.8, 1, (2000, 15))
    assert np.mean(stats.ttest_1samp(sets, 0, axis=1).pvalue <= 0.05) == pytest.approx(0.8, abs=0.04)
    assert np.mean([sign_flip_p(d) <= 0.05 for d in sets[:500]]) > 0.7
