"""The answer says what the numbers say: no more where they are few, and nothing for the wrong side."""

import math

import numpy as np
import pytest
from duels import NS, SAT, a_run, duel, report
from golden import FD
from hypothesis import given, settings
from hypothesis import strategies as st

from ganduel.compare.analysis import Report
from ganduel.compare.interval import mean_interval
from ganduel.compare.reading import Run
from ganduel.compare.statistics import summary
from ganduel.compare.verdict import count, number, probability, shown, verdicts, with_interval


def said(found: Report) -> str:
    """The only sentences."""
    (words,) = verdicts(found)
    return words


def apart(n: int, by: float = 5.0) -> Report:
    """The non-saturating form is lower by about as much in each of n pairs."""
    return report(duel({s: 10.0 + s for s in range(n)}, {s: 10.0 + s + by + 0.1 * s for s in range(n)}))


def test_one_pair_by_hand():
    assert said(report(duel({0: 10.0}, {0: 12.5}))) == (
        "Over 1 paired seed, nonsaturating ends at fd/mnist_cnn_10k 10 against 12.5 of saturating; "
        "nonsaturating minus saturating is -2.5, p = 1, 1 of 1 win. One pair decides nothing."
    )


def test_two_pairs():
    """Means 10.5 and 15.55; differences −5 and −5.1, p = 2/4: nothing is called better at p = 0.5."""
    words = said(apart(2))
    low, high = mean_interval(np.array([-5.0, -5.1]))
    assert f"nonsaturating minus saturating is {with_interval(-5.05, float(low), float(high))}, p = 0.5" in words
    assert words.startswith("Over 2 paired seeds, nonsaturating ends at fd/mnist_cnn_10k 10.5 [")
    assert " against 15.6 [" in words
    assert words.endswith("2 of 2 wins. Undecided: with 2 pairs p cannot be below 0.5; six seeds could settle it.")
    assert "is better" not in words


def test_five_pairs_cannot_be_significant():
    words = said(apart(5))
    assert words.endswith(
        "p = 0.062, 5 of 5 wins. Undecided: with 5 pairs p cannot be below 0.062; six seeds could settle it."
    )


def test_six_pairs_can():
    assert said(apart(6)).endswith("p = 0.031, 6 of 6 wins. Nonsaturating is better.")
    assert said(apart(12)).endswith("p < 0.001, 12 of 12 wins. Nonsaturating is better.")


def test_undecided_says_what_would_settle_it():
    """Differences of mean 1 and much spread: with 0 in the interval nobody is said to be better."""
    comparison = report(duel({s: 10.0 for s in range(6)}, {s: 11.0 + d for s, d in enumerate([5, -5, 4, -4, 3, -3])}))
    words = said(comparison)
    needed = comparison.contrasts[0].difference.needed
    assert words.endswith(
        f"Undecided: the interval contains 0. A difference of this size would take about {needed} seeds to resolve."
    )
    assert "is better" not in words


def test_the_interval_and_the_test_may_disagree():
    """Six differences, one of the other sign and small: p = 6/64, though the interval may be on one side."""
    comparison = report(duel({s: 10.0 for s in range(6)}, {s: 10.0 + d for s, d in enumerate([5, 6, 5, 6, 5, -0.6])}))
    d = comparison.contrasts[0].difference
    assert (d.p, d.high < 0) == (4 / 64, True)
    words = said(comparison)
    assert "Undecided: the interval excludes 0, but the permutation test does not reject." in words
    assert "is better" not in words


def test_equal_values_are_a_tie():
    words = said(report(duel({s: 10.0 for s in range(6)}, {s: 10.0 for s in range(6)})))
    assert (
        "nonsaturating minus saturating is 0 [0, 0], p = 1, 3 of 6 wins. Undecided: the interval contains 0." in words
    )


@pytest.mark.parametrize(
    ("metric", "first", "second", "better", "wins"),
    [
        ("fd_x", [1, 1, 1, 9], [2, 2, 2, 8], NS, 3), ("fd_x", [2, 2, 2, 8], [1, 1, 1, 9], SAT, 3),
        ("recall_x", [1, 1, 1, 9], [2, 2, 2, 9], SAT, 3.5), ("recall_x", [2, 2, 2, 9], [1, 1, 1, 9], NS, 3.5),
        ("fd_x", [1, 9, 9, 9], [9, 8, 8, 8], NS, 1), ("recall_x", [9, 1, 1, 1], [1, 2, 2, 2], NS, 1),
        ("recall_x", [1, 2, 2, 2], [9, 1, 1, 1], SAT, 1), ("fd_x", [9, 8, 8, 8], [1, 9, 9, 9], SAT, 1),
    ],
)  # fmt: skip
def test_wins_are_those_of_the_level_that_is_named_first(metric, first, second, better, wins):
    """Named first is the one that is better on average, which may have the fewer wins; a tie is half a win."""
    sides = ((NS, first), (SAT, second))
    runs = [a_run(loss, seed, **{metric: float(x)}) for loss, values in sides for seed, x in enumerate(values)]
    words = said(report(runs))
    assert words.startswith(f"Over 4 paired seeds, {better} ends at {metric.replace('_', '/')} ")
    assert f", {wins:g} of 4 wins." in words


def test_without_a_direction_nobody_wins():
    """G's loss is another quantity for each form; seed 0 has 0.5 in both."""
    runs = [a_run(loss, seed + shift, 1.0) for loss, shift in ((NS, 0), (SAT, 0)) for seed in range(6)]
    for run in runs:
        shift = 2.0 * (run.config["run"]["choices"]["loss"] == SAT)
        run.last["loss/g"] += shift
    words = said(report(runs, metric="loss/g"))
    assert words.startswith("Over 6 paired seeds, nonsaturating ends at loss/g 3 [")
    assert "win" not in words
    assert words.endswith("p = 0.031. They differ.")


def test_the_means_are_those_of_the_pairs():
    """Seed 9 has no partner: its 99 is not in the mean that the difference is of."""
    words = said(report(duel({0: 10.0, 1: 20.0, 9: 99.0}, {0: 20.0, 1: 30.0})))
    low, high = mean_interval(np.array([10.0, 20.0]), bounds=(0.0, math.inf))
    assert (
        f"nonsaturating ends at fd/mnist_cnn_10k {with_interval(15.0, float(low), float(high))} against 25 [" in words
    )
    assert "nonsaturating minus saturating is -10 [-10, -10]" in words


def test_levels_without_a_pair():
    assert said(report(duel({0: 1.0}, {1: 2.0}))) == (
        "Nonsaturating and saturating have no pair of finished runs with fd/mnist_cnn_10k."
    )


def test_a_metric_that_is_not_compared_is_not_said_to_be_missing():
    """Its protocols differ."""
    words = verdicts(report([a_run(NS, 0, 1.0), a_run(SAT, 0, 2.0, hash="bbbb2222")]))
    assert words == ["Nothing can be said about fd/mnist_cnn_10k: it was not measured by one protocol, see the notes."]


def test_one_level_alone():
    words = said(report([a_run(SAT, seed, fd) for seed, fd in enumerate([1.0, 2.0, 3.0])]))
    assert words.startswith("Saturating ends at fd/mnist_cnn_10k 2 [")
    assert words.endswith("] over 3 runs, and there is nothing to compare it with.")
    assert said(report([a_run(SAT, 0, 4.0)])) == (
        "Saturating ends at fd/mnist_cnn_10k 4 over 1 run, and there is nothing to compare it with."
    )


def test_unfinished_runs_are_counted_first():
    runs = [a_run(NS, 0, 1.0, status="unfinished"), a_run(SAT, 0, 1.0)]
    assert verdicts(report(runs)) == [
        "1 of 2 runs have not finished.",
        "Nonsaturating and saturating have no pair of finished runs with fd/mnist_cnn_10k.",
    ]
    assert verdicts(report([a_run(NS, 0, status="unfinished", fd=1.0)]))[1] == (
        "Nonsaturating has no finished run with fd/mnist_cnn_10k."
    )


def test_without_metrics_nothing_is_better():
    assert verdicts(report([a_run(NS), a_run(SAT)])) == [
        "No sample metric was logged, so that nothing says which is better."
    ]


def test_failures_are_told_even_without_a_metric():
    """The survivors' mean, or the lack of any, is not the whole answer."""
    words = verdicts(report([a_run(NS), a_run(SAT, 0, status="diverged"), a_run(SAT, 1)]))
    assert words[0] == "Saturating: 1 of 2 runs failed, 50% [9%, 91%]: seed 0: diverged."


def test_failures_come_first_with_their_level_and_stratum():
    runs = duel({0: 1.0}, {0: 2.0}) + duel({0: 1.0}, {0: 2.0}, k=5) + [a_run(SAT, 1, status="failed", k=5)]
    words = verdicts(report(runs))
    assert words[0].startswith("Saturating at k=5: 1 of 2 runs failed, 50% [")
    assert [word for word in words if "failed" in word] == words[:1]


def lost(seed: int, fd: float) -> Run:
    """A run whose modes are lost."""
    return a_run(SAT, seed, fd, recall_mnist_cnn_10k=0.0)


def test_what_is_left_where_no_run_failed_is_told_with_its_side():
    """By the pairs all in all the saturating form is the worse by 24; by those without a failed run the better by 2.

    Which runs failed is said first.
    """
    failing = [a_run(NS, 0, 10.0), a_run(NS, 1, 10.0), a_run(NS, 2, 10.0), a_run(SAT, 1, 8.0), a_run(SAT, 2, 8.0)]
    failures, words = verdicts(report([*failing, lost(0, 86.0)]))
    assert failures.startswith("Saturating: 1 of 3 runs failed")
    assert words.startswith("Over 3 paired seeds, in which 1 of 6 runs failed, nonsaturating ends")
    assert "nonsaturating ends at fd/mnist_cnn_10k 10 [10, 10] against 34 [" in words
    assert words.endswith("Of the 2 pairs in which no run failed: 2 [2, 2] the other way, p = 0.5.")
    words = verdicts(report([*failing[:3], lost(0, 86.0), a_run(SAT, 1, 12.0)]))[1]
    assert words.endswith("Of the 1 pair in which no run failed: -2, p = 1.")
    assert "no run failed" not in verdicts(report([a_run(NS, 0, 10.0), lost(0, 86.0)]))[1]
    assert "no run failed" not in said(apart(2))


def test_each_stratum_has_its_sentence_and_their_difference_one():
    runs = duel({0: 1.0, 1: 2.0}, {0: 2.0, 1: 4.0}) + duel({0: 9.0, 1: 5.0}, {0: 1.0, 1: 1.0}, k=5)
    words = verdicts(report(runs))
    assert words[0].startswith("At k=1: over 2 paired seeds, nonsaturating ends at ")
    assert words[1].startswith("At k=5: over 2 paired seeds, saturating ends at ")
    change = "From k=1 to k=5 the difference nonsaturating minus saturating is not seen to change: by 7.5 ["
    assert words[2].startswith(change)
    assert words[2].endswith("over 2 seeds, p = 0.5.")
    assert len(words) == 3


def test_a_change_between_strata_that_is_seen():
    """From −1 − s/10 to +3: by 4 and more in each of six seeds, p = 2/64."""
    low = duel({s: 1.0 for s in range(6)}, {s: 2.0 + s / 10 for s in range(6)})
    high = duel({s: 5.0 for s in range(6)}, {s: 2.0 for s in range(6)}, k=5)
    words = verdicts(report(low + high))[2]
    assert words.startswith("From k=1 to k=5 the difference nonsaturating minus saturating changes: by 4.25 [4.")
    assert words.endswith("over 6 seeds, p = 0.031.")


def test_more_than_two_levels_have_a_sentence_each():
    runs = [a_run(loss, seed, fd + seed) for loss, fd in (("a", 1.0), ("b", 2.0), ("c", 4.0)) for seed in (0, 1)]
    words = verdicts(report(runs))
    assert [line.split(" ends")[0] for line in words] == [f"Over 2 paired seeds, {x}" for x in ("a", "a", "b")]
    assert ["against" in line and line.split(" of ")[1][0] for line in words] == ["b", "c", "c"]


some_pairs = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=7)


@settings(max_examples=20)  # each is a whole comparison
@given(some_pairs, st.sampled_from(["fd", "density"]))
def test_the_side_that_is_named_is_the_better_one_and_a_claim_has_its_reason(pairs, metric):
    sides = ((NS, 0), (SAT, 1))
    runs = [a_run(loss, seed, **{f"{metric}_x": pair[n]}) for loss, n in sides for seed, pair in enumerate(pairs)]
    comparison = report(runs)
    d, better = comparison.contrasts[0].difference, comparison.contrasts[0].better
    words = said(comparison)
    if better is not None:
        assert f"seed{'s' * (d.n > 1)}, {better} ends at" in words
        assert (d.mean > 0) == ((better == NS) == (metric == "density"))
    claimed = words.endswith(("wins. Nonsaturating is better.", "wins. Saturating is better."))
    assert claimed == (better is not None and d.n > 1 and d.p <= 0.05)
    assert ("decides nothing" in words) == (d.n == 1)
    assert f"nonsaturating minus saturating is {number(d.mean)}" in words


# ---- numbers


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1"), (19.84, "19.8"), (0.01234, "0.0123"), (-5.555, "-5.55"), (999.4, "999"),
        (999.6, "1000"), (-999.7, "-1000"), (1234.5, "1234"), (123456.7, "123457"), (1e-9, "1e-09"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(x, words):
    assert number(x) == words


@given(st.floats(-1e6, 1e6))
def test_numbers_are_near_and_large_ones_have_no_exponent(x):
    assert float(number(x)) == pytest.approx(x, rel=0.006, abs=1e-300)
    assert "e+" not in number(x)


def test_probabilities_counts_and_intervals():
    assert [probability(p) for p in (1.0, 0.0625, 0.5, 0.001, 0.00099, math.nan)] == [
        "1", "0.062", "0.5", "0.001", "< 0.001", "–",
    ]  # fmt: skip
    assert [count(n) for n in (4.0, 3.5, 0.0)] == ["4", "3.5", "0"]
    assert (with_interval(2.0, 1.0, 2.5), with_interval(2.0, math.nan, 2.5)) == ("2 [1, 2.5]", "2")
    assert shown(summary(np.array([3.0]))) == "3"


def test_metrics_that_nobody_asked_for_are_not_in_the_answer():
    words = said(report([a_run(loss, 0, 1.0, kd_x=2.0, recall_x=0.5) for loss in (NS, SAT)]))
    assert FD in words
    assert "kd/x" not in words
    assert "recall/x" not in words
