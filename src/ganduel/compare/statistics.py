"""Statistics over a few seeds: the mean of runs with its interval, and the paired difference of two levels.

    d_i = first_i − second_i            the difference of two runs of one seed, i = 1 … n
    summary                             mean, median, quartiles, spread and interval of one level's runs
    difference                          mean of d with interval, p-value, effect size, win rate, pairs needed

n is 2 to 50, mostly 5 or 10. A value that is not finite (of a run that ended early, say) is left out with its pair, and
n counts the rest; where too few are left the result is NaN. Whether lower is better is not known here: `wins` counts
the pairs in which the first is the smaller.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from scipy import special

from ganduel.compare.interval import UNBOUNDED, Bounds, difference_bounds, mean_interval

FLIPS = 2**16  # sign flips: all of them up to 16 differences
MOST_PAIRS = 10_000
ROUNDING = 1e-9  # relative; 0.3 − 0.1 and 0.4 − 0.2 are not the same float
LARGEST_SHIFT = 30.0  # of the noncentral t: power is 1 long before, and scipy's nctdtr may be NaN beyond 37


@dataclass(frozen=True)
class Summary:
    """The values of n runs; sd has the divisor n − 1, and low to high is the interval of the mean."""

    n: int
    mean: float
    median: float
    q25: float
    q75: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """First minus second over n pairs: the mean, its interval, then the results of the functions below."""

    n: int
    mean: float
    low: float
    high: float
    p: float
    effect: float
    wins: float
    needed: int | None


def summary(values: np.ndarray, bounds: Bounds = UNBOUNDED, level: float = 0.95, seed: int = 0) -> Summary:
    """Summarise the runs' values (n,), which lie within the bounds."""
    values = finite(values)
    low, high = mean_interval(values, level, seed, bounds)
    q25, median, q75 = np.quantile(values, [0.25, 0.5, 0.75]) if len(values) else [math.nan] * 3
    return Summary(
        n=len(values),
        mean=mean(values),
        median=float(median),
        q25=float(q25),
        q75=float(q75),
        sd=deviation(values),
        low=float(low),
        high=float(high),
    )


def difference(
    first: np.ndarray, second: np.ndarray, bounds: Bounds = UNBOUNDED, level: float = 0.95, seed: int = 0
) -> Difference:
    """Compare two levels by values (n,) of the same seeds in the same order; all values lie within the bounds."""
    assert first.shape == second.shape, f"pairs of {first.shape} and {second.shape}"
    both = np.isfinite(first) & np.isfinite(second)
    differences = first[both].astype(float) - second[both]
    low, high = mean_interval(differences, level, seed, difference_bounds(bounds))
    return Difference(
        n=len(differences),
        mean=mean(differences),
        low=float(low),
        high=float(high),
        p=sign_flip_p(differences, seed),
        effect=effect_size(differences),
        wins=wins(differences),
        needed=seeds_needed(differences),
    )


def sign_flip_p(differences: np.ndarray, seed: int = 0) -> float:
    """The two-sided p-value of "first and second could be exchanged in every pair".

        p = share of all 2^n choices of signs s for which |Σ s_i |d_i|| ≥ |Σ d_i|

    It is at least 2/2^n, 0.0625 for five pairs however far apart, so that 0.05 takes six. Differences of 0 change
    nothing. For more than 16 others it is the share of 65,536 drawn choices and the observed one, so it is never 0.
    Source: Fisher 1935, "The Design of Experiments"; for drawn signs Phipson and Smyth 2010, "Permutation
    P-values Should Never Be Zero".
    """
    differences = finite(differences)
    if len(differences) == 0:
        return math.nan
    sizes = np.sort(np.abs(differences[differences != 0]))
    observed = abs(math.fsum(differences)) - ROUNDING * sizes.sum()  # sums that are equal on paper count as equal
    if 2 ** len(sizes) <= FLIPS:
        bits = (np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes))) & 1
        return float(np.mean(np.abs((2.0 * bits - 1) @ sizes) >= observed))
    bits = np.random.default_rng(seed).integers(0, 2, (FLIPS, len(sizes)), dtype=np.int8)
    return float((1 + np.sum(np.abs((2.0 * bits - 1) @ sizes) >= observed)) / (1 + FLIPS))


def effect_size(differences: np.ndarray) -> float:
    """The mean difference in standard deviations of the differences, without the bias of few pairs.

        J mean(d) / sd(d),  J = Γ(m/2) / (√(m/2) Γ((m − 1)/2)),  m = n − 1;  J = 0.80 for n = 5

    NaN for fewer than three pairs (for two the quotient has no expectation), and where all differences are alike.
    Source: Cohen 1988, "Statistical Power Analysis" (d_z); Hedges 1981, "Distribution Theory for
    Glass's Estimator of Effect Size and Related Estimators".
    """
    differences = finite(differences)
    m = len(differences) - 1
    spread = deviation(differences)
    if m < 2 or alike(differences) or not spread > 0:  # of numbers around 1e-200 the squares are 0
        return math.nan
    log_j = math.lgamma(m / 2) - math.lgamma((m - 1) / 2) - math.log(m / 2) / 2
    return math.exp(log_j) * mean(differences) / spread


def wins(differences: np.ndarray) -> float:
    """The proportion of pairs in which the first is the smaller; a tie is half a win."""
    return mean((1 - np.sign(finite(differences))) / 2)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values, in the order given: of those ≤ α, the chance that any is a false alarm is ≤ α.

        p_(i) becomes max over j ≤ i of min(1, (m − j + 1) p_(j)),  p_(1) ≤ … ≤ p_(m)

    NaN, a comparison that could not be made, stays NaN and does not count towards m.
    Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".
    """
    adjusted = np.array(p_values, float)
    order = np.argsort(adjusted)[: np.sum(~np.isnan(adjusted))]  # NaN is sorted to the end
    steps = adjusted[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def seeds_needed(differences: np.ndarray, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """The fewest pairs with which a two-sided paired t-test would find a difference like this one.

        P(T > t_(1−α/2, n−1)) ≥ power,  T noncentral t with n − 1 degrees of freedom and noncentrality |δ| √n

    Never so few that `sign_flip_p` cannot reach α: six for 0.05. None without a difference (a mean of 0), without an
    effect size (fewer than three pairs), or where 10,000 pairs are too few.
    δ is `effect_size` of the observed differences, and as uncertain: from five pairs it is easily wrong by half, and a
    difference that was picked for its size is mostly smaller the next time. So this is a guide to how many seeds the
    next study needs, not a verdict on this one.
    Source: Cohen 1988, "Statistical Power Analysis".
    """
    differences = finite(differences)
    fewest = 1 + math.ceil(math.log2(1 / alpha))
    if len(differences) < 3 or mean(differences) == 0:
        return None
    if alike(differences):
        return fewest
    effect = abs(effect_size(differences))
    if math.isnan(effect):
        return None

    def reached(n: int) -> float:
        """The probability of rejecting in the right direction."""
        shift = min(effect * math.sqrt(n), LARGEST_SHIFT)
        return 1 - float(special.nctdtr(n - 1, shift, special.stdtrit(n - 1, 1 - alpha / 2)))

    candidates = range(fewest, MOST_PAIRS + 1)
    index = bisect_left(candidates, power, key=reached)
    return candidates[index] if index < len(candidates) else None


def finite(values: np.ndarray) -> np.ndarray:
    """The finite values of (n,)."""
    values = np.asarray(values, float)
    return values[np.isfinite(values)]


def mean(values: np.ndarray) -> float:
    """The mean; NaN of no values, without a warning."""
    return math.fsum(values) / len(values) if len(values) else math.nan


def deviation(values: np.ndarray) -> float:
    """The standard deviation with the divisor n − 1."""
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def alike(values: np.ndarray) -> bool:
    """Whether the values differ by rounding only."""
    return bool(np.ptp(values) <= ROUNDING * np.abs(values).max())
