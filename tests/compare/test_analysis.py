"""Numbers of small sweeps by hand: what enters a mean, what is paired, what is not compared and said to be so."""

import math
from dataclasses import replace

import numpy as np
import pytest
from duels import NS, SAT, a_run, duel, report
from golden import FD, RECALL, make_sweep
from hypothesis import given, settings
from hypothesis import strategies as st

from ganduel.compare.analysis import Contrast, Report, analyse
from ganduel.compare.interval import proportion_interval
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import read_all
from ganduel.compare.statistics import difference
from ganduel.errors import UserError

KD = "kd/mnist_cnn_10k"


def only(found: Report, metric: str = FD) -> Contrast:
    (contrast,) = found.contrast("", metric)
    return contrast


# ---- cells


def test_a_cell_sums_up_the_runs_that_finished():
    runs = [a_run(SAT, seed, fd) for seed, fd in enumerate([1.0, 2.0, 6.0])]
    runs += [a_run(SAT, 3, 50.0, status="unfinished"), a_run(SAT, 4, 60.0, status="failed"), a_run(SAT, 5)]
    runs += [a_run(SAT, 6, 70.0, status="stopped")]
    (cell,) = report(runs).cells
    final = cell.finals[FD]
    assert (final.n, final.mean, final.median, final.sd) == (3, 3.0, 2.0, pytest.approx(math.sqrt((4 + 1 + 9) / 2)))
    assert final.low < 3 < final.high
    assert (list(cell.runs), cell.unfinished) == ([0, 1, 2, 3, 4, 5, 6], 1)


def test_failures_are_a_share_of_the_runs_that_ended():
    runs = [a_run(SAT, 0, 1.0), a_run(SAT, 1, 1.0, recall_x=0.0), a_run(SAT, 2, status="diverged")]
    (cell,) = report([*runs, a_run(SAT, 3, status="unfinished")]).cells
    failures = cell.failures
    assert (failures.count, failures.n, failures.reasons) == (1, 3, ["seed 2: diverged"])
    assert (failures.low, failures.high) == proportion_interval(1, 3)
    (cell,) = report([a_run(SAT, 0, status="unfinished")]).cells
    assert (cell.failures.n, cell.failures.low, cell.failures.high) == (0, 0.0, 1.0)


def test_a_run_whose_modes_are_lost_fails_and_is_still_measured():
    (cell,) = report([a_run(SAT, 0, 90.0, recall_mnist_cnn_10k=0.05), a_run(SAT, 1, 50.0)]).cells
    (reason,) = cell.failures.reasons
    assert reason == "seed 0: modes are lost: recall/mnist_cnn_10k is 0.05, where real samples have 0.9"
    assert cell.finals[FD].mean == 70.0


def test_every_level_of_every_stratum_that_has_runs_is_a_cell():
    comparison = report([*duel({0: 1.0}, {0: 2.0}), a_run(SAT, 0, 3.0, k=5)])
    assert [(cell.stratum, cell.level) for cell in comparison.cells] == [("k=1", NS), ("k=1", SAT), ("k=5", SAT)]


# ---- contrasts


def test_a_contrast_by_hand():
    """Differences −1, −2, −6: mean −3; all signs agree, p = 2/2³; the first is smaller in all three."""
    contrast = only(report(duel({0: 1.0, 1: 2.0, 2: 3.0}, {2: 9.0, 1: 4.0, 0: 2.0})))
    assert (contrast.first, contrast.second, contrast.seeds) == (NS, SAT, [0, 1, 2])
    assert contrast.values.tolist() == [[1, 2], [2, 4], [3, 9]]
    d = contrast.difference
    assert (d.n, d.mean, d.p, d.wins) == (3, -3.0, 0.25, 1.0)
    assert d == difference(contrast.values[:, 0], contrast.values[:, 1])
    assert (contrast.higher_is_better, contrast.better, contrast.p_holm) == (False, NS, 0.25)


@pytest.mark.parametrize(
    ("metric", "first", "second", "better"),
    [
        ("fd", 1.0, 2.0, NS), ("fd", 2.0, 1.0, SAT), ("fd", 1.0, 1.0, None),
        ("recall", 1.0, 2.0, SAT), ("recall", 2.0, 1.0, NS), ("recall", 1.0, 1.0, None),
        ("parzen/se", 1.0, 2.0, None), ("fd", math.nan, 1.0, None), ("recall", 1.0, math.nan, None),
    ],
)  # fmt: skip
def test_which_is_better_is_the_metrics_to_say(metric, first, second, better):
    """Less for a distance, more for a share, neither for a standard error; and nothing where there is no pair."""
    key = f"{metric}_x" if "/" not in metric else "parzen_se"
    comparison = report([a_run(NS, 0, **{key: first}), a_run(SAT, 0, **{key: second})])
    (contrast,) = comparison.contrasts
    assert contrast.better == better


def test_pairs_are_of_finished_runs_with_the_metric():
    runs = duel({0: 1.0, 1: 2.0, 3: math.nan, 5: math.inf, 6: 1.0}, {0: 2.0, 2: 5.0, 3: 1.0, 5: 1.0, 6: 2.0})
    runs += [a_run(NS, 4, 1.0), a_run(SAT, 4, 9.0, status="failed")]
    contrast = only(report(runs))
    assert (contrast.seeds, contrast.difference.n, contrast.difference.mean) == ([0, 6], 2, -1.0)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_few_pairs(n):
    """The least p is 2/2^n; one pair has no interval."""
    diff = only(report(duel({s: 1.0 + s for s in range(n)}, {s: 3.0 + s for s in range(n)}))).difference
    assert (diff.n, diff.mean, diff.p) == (n, -2.0, 2 / 2**n)
    assert math.isnan(diff.low) == (n == 1)


def test_no_pair_at_all():
    contrast = only(report(duel({0: 1.0}, {1: 2.0})))
    assert (contrast.seeds, contrast.values.shape, contrast.difference.n, contrast.better) == ([], (0, 2), 0, None)
    assert math.isnan(contrast.p_holm)


def test_more_levels_are_compared_two_by_two():
    runs = [a_run(loss, seed, fd + seed) for loss, fd in (("a", 1.0), ("b", 2.0), ("c", 4.0)) for seed in (0, 1)]
    contrasts = report(runs).contrast("", FD)
    assert [(c.first, c.second, c.difference.mean) for c in contrasts] == [
        ("a", "b", -1),
        ("a", "c", -3),
        ("b", "c", -2),
    ]


def test_p_values_of_all_metrics_of_two_levels_are_adjusted_together():
    """Six pairs: FD and KD differ in one direction, 2/64 each; recall is the same, p = 1. Holm: 3 · 2/64, then 1."""
    runs = [
        a_run(loss, seed, fd + seed, kd_mnist_cnn_10k=fd * 2 + seed, recall_mnist_cnn_10k=0.5)
        for loss, fd in ((NS, 1.0), (SAT, 2.0)) for seed in range(6)
    ]  # fmt: skip
    contrasts = {c.metric: c for c in report(runs).contrasts}
    assert {m: c.difference.p for m, c in contrasts.items()} == {FD: 2 / 64, KD: 2 / 64, RECALL: 1.0}
    assert {m: c.p_holm for m, c in contrasts.items()} == pytest.approx({FD: 6 / 64, KD: 6 / 64, RECALL: 1.0})


def test_strata_are_compared_each_by_itself():
    runs = duel({0: 1.0, 1: 2.0}, {0: 2.0, 1: 3.0}) + duel({0: 9.0}, {0: 1.0}, k=5)
    comparison = report(runs)
    assert [(c.stratum, c.difference.n, c.difference.mean) for c in comparison.contrasts] == [
        ("k=1", 2, -1),
        ("k=5", 1, 8),
    ]


def test_how_a_difference_changes_between_strata():
    """Seeds 0 and 1 in both: −1 − 8 and −2 − 4; seed 2 has no partner at k = 5."""
    runs = duel({0: 1.0, 1: 2.0, 2: 3.0}, {0: 2.0, 1: 4.0, 2: 9.0}) + duel({0: 9.0, 1: 5.0}, {0: 1.0, 1: 1.0}, k=5)
    (interaction,) = report(runs).interactions
    assert (interaction.metric, interaction.first, interaction.second, interaction.of, interaction.to) == (
        FD,
        NS,
        SAT,
        "k=1",
        "k=5",
    )
    assert (interaction.difference.n, interaction.difference.mean) == (2, (-9 - 6) / 2)
    assert report(duel({0: 1.0}, {0: 2.0}) + duel({1: 1.0}, {1: 2.0}, k=5)).interactions == []
    assert report(duel({0: 1.0}, {0: 2.0})).interactions == []


@settings(max_examples=20)  # each is a whole comparison
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=5))
def test_swapping_the_levels_swaps_the_answer(pairs):
    first, second = ({seed: pair[side] for seed, pair in enumerate(pairs)} for side in (0, 1))
    there, back = only(report(duel(first, second))), only(report(duel(second, first)))
    assert there.difference.mean == pytest.approx(-back.difference.mean)
    assert there.difference.wins == pytest.approx(1 - back.difference.wins)
    assert there.difference.p == back.difference.p
    swap = {NS: SAT, SAT: NS, None: None}
    assert there.better == swap[back.better]


# ---- metrics


def test_the_first_metric_is_the_usual_one_that_was_measured():
    runs = [a_run(SAT, 0, 3.0, recall_x=0.5, parzen_x=1.0, kd_x=2.0, fid_x=1.0)]
    assert report(runs).metrics == ["fid/x", FD, "kd/x", "recall/x", "parzen/x"]
    assert report([a_run(SAT, 0, parzen_x=1.0, modes_x=8.0)]).metrics == ["modes/x", "parzen/x"]
    assert report([a_run(SAT, 0)]).metrics == []


@pytest.mark.parametrize(
    ("word", "first"), [("recall", RECALL), (RECALL, RECALL), ("kd", KD), ("loss", "loss/g"), ("loss/g", "loss/g")]
)
def test_another_metric_may_be_the_first(word, first):
    runs = [a_run(SAT, 0, 3.0, recall_mnist_cnn_10k=0.5, kd_mnist_cnn_10k=2.0)]
    metrics = report(runs, metric=word).metrics
    assert metrics[0] == first
    assert sorted(metrics) == sorted({first, FD, RECALL, KD})


def test_a_metric_of_the_record_has_no_direction():
    comparison = report([a_run(NS, 0, 1.0), a_run(SAT, 0, 2.0)], metric="loss/g")
    assert (only(comparison, "loss/g").higher_is_better, only(comparison, "loss/g").better) == (None, None)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("fid", "--metric fid is on no record."),
        ("recal", "Did you mean recall/"),
        (f"{FD}x", f"Did you mean {FD}"),
        ("", "--metric  is on no record."),
    ],
)
def test_a_metric_that_is_none(word, words):
    with pytest.raises(UserError) as error:
        report([a_run(SAT, 0, 3.0, recall_x=0.5)], metric=word)
    assert words in str(error.value)


# ---- protocols


def test_other_protocols_are_not_mixed():
    runs = [a_run(NS, 0, 1.0), a_run(NS, 1, 1.0, hash="bbbb2222"), a_run(SAT, 0, 2.0), a_run(SAT, 1, 2.0)]
    comparison = report(runs)
    assert comparison.contrasts == []
    assert all(FD not in cell.finals for cell in comparison.cells)
    assert comparison.warnings[0] == (
        f"{FD} is not compared: its protocols differ (aaaa1111 in 3 runs, bbbb2222 in 1 run). "
        "ganduel evaluate measures all runs by one."
    )


def test_a_value_without_a_protocol_is_not_mixed_with_others():
    """Its file is missing or damaged: by what it was measured is not known."""
    comparison = report([a_run(NS, 0, 1.0, hash=None), a_run(SAT, 0, 2.0)])
    assert comparison.contrasts == []
    assert "not on record in 1 run, aaaa1111 in 1 run" in comparison.warnings[0]


def test_protocols_may_differ_between_strata_and_metrics():
    runs = duel({0: 1.0}, {0: 2.0}, recall_x=0.5) + duel({0: 1.0}, {0: 2.0}, k=5, hash="bbbb2222")
    runs += [a_run(SAT, 1, 2.0, recall_x=0.5)]
    runs[0].protocols["recall/x"]["hash"] = "cccc3333"
    comparison = report(runs)
    assert [(c.stratum, c.metric) for c in comparison.contrasts] == [("k=1", FD), ("k=5", FD), ("k=5", "recall/x")]
    assert len([words for words in comparison.warnings if "protocols differ" in words]) == 1


def test_a_run_that_never_measured_has_no_protocol_to_differ():
    assert len(report([*duel({0: 1.0}, {0: 2.0}), a_run(SAT, 1)]).contrasts) == 1


# ---- remarks


def test_what_a_reader_should_know():
    runs = [*duel({0: 1.0, 1: 1.0}, {0: 2.0, 2: 2.0}), a_run(SAT, 0, 7.0, k=5), a_run(SAT, 0, 2.0, status="stopped")]
    runs[1].config["run"]["git"] = "fedcba"
    warnings = report(runs).warnings
    assert warnings == [
        "the runs also differ in git: 0123456789 (5 runs), fedcba (1 run)",
        "saturating,1,0,stopped repeats saturating,1,0,finished, and is left out",
        "nonsaturating and saturating at k=1: seeds 1, 2 have a run of one of them only, and are not compared",
        "saturating at k=5 has nothing to be compared with: no other loss has a run there",
    ]


def test_one_seed_without_a_partner():
    warnings = report(duel({0: 1.0, 1: 1.0}, {0: 2.0})).warnings
    assert warnings == ["nonsaturating and saturating: seed 1 has a run of one of them only, and is not compared"]


def test_nothing_to_remark():
    assert report(duel({0: 1.0, 1: 1.0}, {0: 2.0, 1: 3.0})).warnings == []


def test_a_sweep_on_disk(tmp_path):
    """The whole way from folders: by the sweep's making, differences of −5, −5.1, …, −5.4."""
    contrast = only(analyse(arrange(read_all([make_sweep(tmp_path / "s")])[0])))
    assert np.diff(contrast.values[:, ::-1]).ravel() == pytest.approx([-5, -5.1, -5.2, -5.3, -5.4])
    assert (contrast.difference.n, contrast.difference.p, contrast.better) == (5, 2 / 32, NS)


def test_pairs_without_a_failed_run_are_also_summed_up_by_themselves():
    """Seed 2's second run lost its modes: its recall of 0.01 is below a tenth of the floor."""
    runs = duel({0: 10.0, 1: 20.0, 2: 30.0}, {0: 11.0, 1: 23.0, 2: 500.0})
    lost = runs[-1]
    assert (lost.config["seed"], lost.config["run"]["choices"]["loss"]) == (2, SAT)
    protocols = {**lost.protocols, RECALL: {"hash": "a", "higher_is_better": True}}
    runs[-1] = replace(lost, protocols=protocols, last={**lost.last, RECALL: 0.01, f"{RECALL}/floor": 0.9})
    (contrast,) = [c for c in report(runs).contrasts if c.metric == FD]
    assert contrast.difference.mean == pytest.approx((-1 - 3 - 470) / 3)
    assert (contrast.without_failures.n, contrast.without_failures.mean) == (2, pytest.approx(-2))
    assert [c.without_failures for c in report(duel({0: 1.0}, {0: 2.0})).contrasts] == [None]


def test_failures_of_one_kind_are_told_together():
    runs = [
        a_run(SAT, seed, status="diverged" if seed in (1, 3) else "failed" if seed == 2 else "finished")
        for seed in range(4)
    ]
    (cell,) = report(runs).cells
    assert (cell.failures.count, cell.failures.n) == (3, 4)
    assert cell.failures.reasons == ["seeds 1, 3: diverged", "seed 2: failed"]
