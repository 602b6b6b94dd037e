"""What users met in comparisons: sentences that said more than the numbers, or other numbers than the tables."""

import re
from io import StringIO

from duels import NS, SAT, a_run, report
from rich.console import Console

from ganduel.compare.analysis import Report
from ganduel.compare.reading import Run
from ganduel.compare.table import as_json, difference_texts, print_report
from ganduel.compare.verdict import verdicts


def printed(comparison: Report) -> str:
    console = Console(file=StringIO(), width=200)
    print_report(comparison, [], console)
    return console.file.getvalue()


def runs_with(first: list[float], second: list[float], metric: str) -> list[Run]:
    """Runs of both forms by seed, with these final values of a metric."""
    sides = ((NS, first), (SAT, second))
    return [a_run(loss, seed, **{metric: value}) for loss, values in sides for seed, value in enumerate(values)]


def test_the_sentence_has_the_difference_of_the_table():
    """high_quality: the sentence said +0.968 where the table said −0.968, and p = 0.0625 was 0.062 in one of them."""
    comparison = report(
        runs_with([0.001, 0.002, 0.003, 0.002, 0.001], [0.97, 0.971, 0.969, 0.97, 0.969], "high_quality_x")
    )
    (contrast,) = comparison.contrasts
    texts = difference_texts(contrast)
    assert texts["difference"].startswith("-0.968 [")
    assert texts["p"] == "0.062"
    sentence = verdicts(comparison)[0]
    assert f"nonsaturating minus saturating is {texts['difference']}, p = {texts['p']}, 5 of 5 wins." in sentence
    assert re.search(rf"{re.escape(texts['difference'])} +│ +{texts['p']} ", printed(comparison))


def test_nothing_is_better_among_failed_runs_at_p_one_half():
    """Eight runs without modes: "nonsaturating is better as far as 2 pairs can tell", and their failure came last."""
    runs = [
        a_run(loss, seed, fd + seed, k=k, recall_x=0.01)
        for loss, fd in ((NS, 10.0), (SAT, 20.0))
        for seed in (0, 1)
        for k in (1, 5)
    ]
    for run in runs:
        run.last["recall/x/floor"] = 0.9
    words = verdicts(report(runs))
    assert [word.split(",")[0].split(": ")[1] for word in words[:4]] == ["2 of 2 runs failed"] * 4
    for stratum, word in zip(("k=1", "k=5"), words[4:6], strict=True):
        assert word.startswith(f"At {stratum}: over 2 paired seeds, in which 4 of 4 runs failed, nonsaturating ends at")
        assert word.endswith(
            "p = 0.5, 2 of 2 wins. Undecided: with 2 pairs p cannot be below 0.5; six seeds could settle it."
        )
    assert not any("better" in word for word in words)


def test_a_significant_difference_of_failed_runs_says_that_they_failed():
    runs = [a_run(loss, seed, fd, recall_x=0.01) for loss, fd in ((NS, 10.0), (SAT, 20.0)) for seed in range(6)]
    for run in runs:
        run.last["recall/x/floor"] = 0.9
    assert verdicts(report(runs))[-1].endswith("Nonsaturating is better, but all of these runs failed.")


def test_intervals_stay_within_the_possible_values():
    """An fd of 0.0475 [−0.0514, 0.191], a recall up to 1.5 and 14 of 8 modes were shown; kd may be negative."""
    runs = runs_with([0.01, 0.012, 0.12], [0.03, 0.02, 0.021], "fd_x")
    finals = [{"recall/x": 1.0, "modes/x": 8.0, "kd/x": -0.001}, {"recall/x": 0.4, "modes/x": 2.0, "kd/x": 0.002}]
    for n, run in enumerate(runs):
        run.last.update(finals[n % 2])
        for key in finals[0]:
            run.protocols[key] = {"hash": "a", "range": [0, 8] if key == "modes/x" else None}
    comparison = report(runs)
    shown = [cell.finals for cell in comparison.cells]
    assert shown[0]["fd/x"].low == 0
    assert [final["recall/x"].high for final in shown] == [1, 1]
    assert [(final["modes/x"].low, final["modes/x"].high) for final in shown] == [(0, 8), (0, 8)]
    assert all(final["kd/x"].low < 0 for final in shown)
    for contrast in comparison.contrasts:
        limit = {"modes/x": 8, "recall/x": 1}.get(contrast.metric, float("inf"))
        assert -limit <= contrast.difference.low <= contrast.difference.high <= limit
    assert "against 0.0473 [0, 0.243] of nonsaturating" in verdicts(comparison)[0]


def test_what_intervals_of_few_runs_miss_is_said_beside_them():
    """Where one run in five collapses, five runs show none in a third of all cases, and "95%" is 67%."""
    comparison = report(runs_with([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 3.0, 4.0, 5.0, 6.0], "fd_x"))
    assert "its coverage is at most 67%." in printed(comparison).replace("\n", " ").split("paired by seed")[0]
    assert as_json(comparison, [])["interval_note"].endswith("its coverage is at most 67%.")
    assert report([a_run(NS, 0, 1.0), a_run(SAT, 0, 1.0)]).interval_note is None
