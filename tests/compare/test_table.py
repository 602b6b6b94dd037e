"""What a terminal and a program are shown: all of it there, and JSON that any reader takes."""

import json
import math
from io import StringIO
from pathlib import Path

import pytest
from duels import NS, SAT, a_run, duel, report
from golden import FD
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from ganduel.compare.analysis import Report
from ganduel.compare.reading import SkippedFolder
from ganduel.compare.table import as_json, print_report


def printed(found: Report, aside: list[SkippedFolder] | None = None, width: int = 200) -> str:
    console = Console(file=StringIO(), width=width)
    print_report(found, aside or [], console)
    return console.file.getvalue()


def rows_of(text: str, name: str) -> list[list[str]]:
    """The lines of tables that begin with the name, cell by cell."""
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line[:1] == "│"]
    return [cells for cells in lines if cells[0] == name]


def level(text: str, name: str) -> dict[str, str]:
    """A column of the first table: what each row has of a level."""
    first = text.split("minus")[0].split("note")[0]
    head = next(line for line in first.splitlines() if line[:1] == "┃")
    place = [cell.strip() for cell in head.strip("┃").split("┃")].index(name)
    rows = [line.strip("│").split("│") for line in first.splitlines() if line[:1] == "│"]
    return {cells[0].strip(): cells[place].strip() for cells in rows}


def test_levels_and_differences_by_hand():
    text = printed(report(duel({0: 10.0, 1: 20.0}, {0: 20.0, 1: 50.0})))
    assert (level(text, NS)["runs"], level(text, NS)["failed"]) == ("2", "0 of 2")
    assert level(text, NS)[FD].startswith("15 [")
    assert level(text, SAT)[FD].startswith("35 [")
    metric, n, gap, p, adjusted, effect, needed = rows_of(text, FD)[1]
    assert (metric, n, p, adjusted, effect, needed) == (FD, "2", "0.5", "0.5", "–", "–")
    assert gap.startswith("-20 [")
    assert "nonsaturating minus saturating, paired by seed" in text


def test_the_answer_comes_last():
    text = printed(report(duel({0: 1.0}, {0: 2.0})), [SkippedFolder(Path("x"), "empty")])
    assert text.rstrip().endswith("One pair decides nothing.")
    assert text.index("left out: x: empty") < text.index("Over 1 paired seed")


def test_failures_are_beside_the_means():
    runs = [a_run(SAT, 0, 1.0), a_run(SAT, 1, status="failed"), a_run(SAT, 2, status="unfinished")]
    assert level(printed(report(runs)), SAT) == {FD: "1", "runs": "3", "failed": "1 of 2"}


def test_what_was_not_measured_or_not_compared_says_so():
    text = printed(report([*duel({0: 1.0}, {0: 2.0}), a_run("third", 0)]))
    assert level(text, "third")[FD] == "–"
    text = printed(report([a_run(NS, 0, 1.0), a_run(SAT, 0, 2.0, hash="b")]))
    assert level(text, NS)[FD] == level(text, SAT)[FD] == "not compared"
    assert "note: fd/mnist_cnn_10k is not compared: its protocols differ" in text


def test_strata_are_named():
    text = printed(report(duel({0: 1.0}, {0: 2.0}) + duel({0: 1.0}, {0: 3.0}, k=5)))
    assert level(text, "saturating, k=5") == {FD: "3", "runs": "1", "failed": "0 of 1"}
    assert [cells[2] for cells in rows_of(text, FD)[1:]] == ["-1", "-2"]
    assert "nonsaturating minus saturating (k=5), paired by seed" in text
    assert "From k=1 to k=5 the difference" in text


def test_without_metrics_there_are_still_levels():
    assert level(printed(report([a_run(SAT)])), SAT) == {"runs": "1", "failed": "0 of 1"}


@pytest.mark.parametrize("words", ["[red]x[/red]", "[/]", "[bold", "a[1]"])
def test_what_comes_from_runs_is_no_markup(words):
    """Else a bracket in a label or a reason would vanish, or raise."""
    runs = [a_run(words, 0, 1.0), a_run(SAT, 0, 2.0), a_run(words, 1, status="failed")]
    runs[2] = type(runs[2])(runs[2].folder, runs[2].config, "failed", reason=words, curves=runs[2].curves)
    text = printed(report(runs), [SkippedFolder(Path(words), words)])
    assert level(text, words) == {FD: "1", "runs": "2", "failed": "1 of 2"}
    assert f"left out: {Path(words)}: {words}" in text
    assert f"{words} minus {SAT}" in text
    assert f"seed 1: failed: {words}." in text


@pytest.mark.parametrize("width", [50, 60, 80])
def test_a_narrow_terminal_loses_nothing(width):
    """Names and numbers are folded, not cut off."""
    means = {NS: 1002, "relativistic": 1502, SAT: 1236, "wasserstein": 1502}
    runs = duel({s: 1000.0 + s for s in range(6)}, {s: 1234.0 + s for s in range(6)})
    runs += [a_run(loss, seed, 1500.0 + seed) for loss in ("wasserstein", "relativistic") for seed in range(6)]
    text = printed(report(runs), width=width)
    assert "…" not in text
    levels, first, *_ = (columns(part) for part in text.split("┏")[1:])
    assert levels[0] == f"metric{FD}runsfailed"
    for (level, mean), column in zip(means.items(), levels[1:], strict=True):
        assert column.startswith(f"{level}{mean}[")
        assert column.endswith("]60of6")
    assert first == [f"metric{FD}", "n6", "difference-500[-500,-500]", "p0.031", "Holm0.031", "effect–", "needed6"]


def columns(text: str) -> list[str]:
    """A table's columns from top to bottom, without spaces."""
    lines = [line[1:-1].replace("┃", "│").split("│") for line in text.splitlines() if line[:1] in ("│", "┃")]
    return ["".join("".join(cells).split()) for cells in zip(*lines, strict=True)]


def test_json_has_all_numbers_unrounded():
    runs = [*duel({0: 1.0, 1: 2.0}, {0: 2.0 / 3, 1: 4.0}), a_run(SAT, 2, status="failed"), a_run(NS, 2, 3.0)]
    data = as_json(report(runs), [SkippedFolder(Path("x"), "empty")])
    assert (data["factor"], data["levels"], data["strata"], data["metrics"]) == ("loss", [NS, SAT], [""], [FD])
    (d,) = data["differences"]
    assert (d["first"], d["second"], d["seeds"], d["values"]) == (NS, SAT, [0, 1], [[1, 2 / 3], [2, 4]])
    assert (d["mean"], d["n"], d["p"], d["better"]) == (pytest.approx(-5 / 6), 2, 1.0, NS)
    assert d["higher_is_better"] is False
    cell = data["cells"][1]
    assert cell["level"] == SAT
    assert cell["runs"] == {str(seed): str(run.folder) for seed, run in enumerate(runs[2:5])}
    assert cell["finals"][FD]["mean"] == pytest.approx((2 / 3 + 4) / 2)
    assert (cell["failures"]["count"], cell["failures"]["n"], cell["unfinished"]) == (1, 3, 0)
    assert data["left_out"] == [{"folder": "x", "reason": "empty"}]
    assert data["warnings"] == []
    assert data["verdicts"][0].startswith("Saturating: 1 of 3 runs failed")


def test_json_has_both_p_values():
    """Two metrics over six pairs in one direction: 2/64 each, and twice that for asking two."""
    runs = [a_run(loss, s, fd, kd_x=fd) for loss, fd in ((NS, 1.0), (SAT, 2.0)) for s in range(6)]
    differences = as_json(report(runs), [])["differences"]
    assert [(d["p"], d["p_holm"]) for d in differences] == [(2 / 64, 4 / 64)] * 2


def test_json_of_strata_has_how_they_differ():
    data = as_json(report(duel({0: 1.0}, {0: 2.0}) + duel({0: 1.0}, {0: 4.0}, k=5)), [])
    (change,) = data["interactions"]
    assert (change["of"], change["to"], change["difference"]["mean"]) == ("k=1", "k=5", 2.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null(value):
    runs = duel({0: 1.0, 1: value}, {0: 2.0, 1: value}) + duel({0: value}, {0: value}, k=5)
    text = json.dumps(as_json(report(runs), []), allow_nan=False)
    data = json.loads(text)
    empty = data["differences"][1]
    assert (empty["stratum"], empty["n"], empty["mean"], empty["p"], empty["better"]) == ("k=5", 0, None, None, None)
    assert data["cells"][0]["finals"][FD]["low"] is None


sizes = st.floats(-1e100, 1e100) | st.sampled_from([math.nan, math.inf, -math.inf])


@settings(max_examples=20)  # each is a whole comparison
@given(st.lists(st.tuples(sizes, sizes), min_size=1, max_size=4))
@example([(0.0, 0.0), (0.0, 0.0), (0.0, 9e-239)])
def test_json_of_any_values_is_json(pairs):
    sides = ((NS, 0), (SAT, 1))
    runs = [a_run(loss, seed, pair[n]) for loss, n in sides for seed, pair in enumerate(pairs)]
    json.loads(json.dumps(as_json(report(runs), []), allow_nan=False))
