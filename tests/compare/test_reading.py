"""Whatever a sweep's folder holds is read or set aside with the reason; nothing in it raises."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden import FD, RECALL, config, make_run, make_sweep
from hypothesis import given
from hypothesis import strategies as st

from ganduel.compare.reading import UNFINISHED, Run, SkippedFolder, read, read_all


def run_of(folder: Path) -> Run:
    result = read(folder)
    assert isinstance(result, Run), result
    return result


def reason_of(folder: Path) -> str:
    result = read(folder)
    assert isinstance(result, SkippedFolder), "was read"
    assert result.folder == folder
    assert "\n" not in result.reason
    return result.reason


def append(path: Path, *lines: str) -> None:
    path.write_text(path.read_text() + "\n".join(lines) + "\n")


def change_config(folder: Path, **values: Any) -> None:
    """JSON is YAML; NaN and infinity aside."""
    (folder / "config.yaml").write_text(json.dumps({**config(), **values}), encoding="utf-8")


# ---- one run


def test_a_run_as_it_is_on_disk(tmp_path):
    run = run_of(make_run(tmp_path / "a", "nonsaturating", seed=3, k=2))
    assert (run.name, run.status, run.reason, run.note) == ("a", "finished", None, None)
    assert (run.config["seed"], run.config["k"], run.config["run"]["choices"]["loss"]) == (3, 2, "nonsaturating")
    assert run.curves["iteration"].tolist() == [1, *range(50, 501, 50)]
    assert (run.iteration, run.seconds) == (500, 10.0)
    assert (run.final(FD), run.final(RECALL), run.final(f"{FD}/floor")) == (43.0, 0.5, 2.0)
    assert run.curves["d/fake"] == pytest.approx(np.full(11, 0.43))
    assert run.protocols[FD]["hash"] == "aaaa1111"
    assert run.histograms["d/fake"].sum(1).tolist() == [64] * 11
    assert run.histograms["iteration"].tolist() == run.curves["iteration"].tolist()
    assert sorted(run.pictures) == [0, 500]
    assert run.stills == {"real": tmp_path / "a" / "samples" / "real.png"}
    assert run.loss_form is not None
    assert run.loss_form["name"] == "NonSaturating"


def test_secrets_of_older_runs_are_hidden(tmp_path):
    """So they are in no level, page or JSON, and two runs that differ in one are a pair."""
    folder = make_run(tmp_path / "a", data={"token": "x1"}, status="failed", reason="data.token='x1' is no number.")
    run = run_of(folder)
    assert run.config["data"] == {"token": "(hidden)"}
    assert run.reason == "data.token=(hidden) is no number."


def test_a_metric_that_comes_seldom_is_missing_elsewhere(tmp_path):
    run = run_of(make_run(tmp_path / "a"))
    assert np.isnan(run.curves[FD]).tolist() == [True] * 10 + [False]
    assert math.isnan(run.final("of nothing"))


@pytest.mark.parametrize(
    ("status", "reason"), [("finished", None), ("stopped", "SIGTERM"), ("diverged", "D's loss"), ("failed", "no room")]
)
def test_how_a_run_ended(tmp_path, status, reason):
    run = run_of(make_run(tmp_path / "a", status=status, reason=reason))
    assert (run.status, run.reason) == (status, reason)


def test_a_run_without_a_summary_is_unfinished(tmp_path):
    run = run_of(make_run(tmp_path / "a", status=None))
    assert (run.status, run.reason, run.iteration) == (UNFINISHED, None, 500)


@pytest.mark.parametrize(
    ("text", "note"),
    [("{", "summary.json cannot be read: "), ("", "summary.json cannot be read: "), ("[]", "summary.json holds no")],
)
def test_a_summary_that_is_none_is_noted_and_the_rest_used(tmp_path, text, note):
    folder = make_run(tmp_path / "a")
    (folder / "summary.json").write_text(text)
    run = run_of(folder)
    assert run.status == UNFINISHED
    assert str(run.note).startswith(note)
    assert run.final(FD) == 40.0


def test_a_folder_in_the_place_of_a_summary(tmp_path):
    folder = make_run(tmp_path / "a", status=None)
    (folder / "summary.json").mkdir()
    assert "summary.json cannot be read" in str(run_of(folder).note)


def test_a_reason_that_is_no_text_becomes_one(tmp_path):
    """It goes on to a page as JSON, which has no NaN."""
    folder = make_run(tmp_path / "a", status="failed")
    (folder / "summary.json").write_text('{"status": "failed", "reason": {"code": NaN}}')
    assert run_of(folder).reason == "{'code': nan}"


def test_a_row_that_a_kill_cut_off_is_noted(tmp_path):
    folder = make_run(tmp_path / "a", status=None)
    text = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(text[:-20])
    run = run_of(folder)
    assert run.note == "the last row of metrics.jsonl is cut off"
    assert run.iteration == 500
    assert math.isnan(run.final(FD)), "which the last row had"


@given(st.integers(1, 4000))
def test_rows_cut_off_anywhere_are_a_run_or_set_aside(tmp_path_factory, size):
    folder = tmp_path_factory.mktemp("cut") / "a"
    make_run(folder)
    content = (folder / "metrics.jsonl").read_bytes()
    (folder / "metrics.jsonl").write_bytes(content[:size])
    result = read(folder)
    if isinstance(result, SkippedFolder):
        assert result.reason == "finished: it has no rows"
        assert b"}" not in content[:size]
    else:
        assert len(result.curves["iteration"]) == min(11, content[:size].count(b"}"))


# ---- folders that are no runs


def test_folders_without_a_run(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("a")
    (tmp_path / "file").write_text("a")
    assert reason_of(tmp_path / "empty") == "empty"
    assert reason_of(tmp_path / "foreign") == "no run: it has no config.yaml"
    assert reason_of(tmp_path / "file") == "not a folder"
    assert reason_of(tmp_path / "gone") == "not a folder"


def test_a_run_that_never_began_says_why(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "summary.json").write_text('{"status": "failed", "reason": "model=x is not a choice"}')
    assert reason_of(folder) == "never began: model=x is not a choice"


def test_a_run_that_a_search_stopped_early_is_left_out_and_says_by_what(tmp_path):
    """Its last values are those of another iteration than the others'."""
    folder = make_run(tmp_path / "a", status="pruned", reason="fd/mnist_cnn_10k = 90.5")
    iteration = json.loads((folder / "summary.json").read_text()).get("iteration")
    assert reason_of(folder) == f"pruned by a search: fd/mnist_cnn_10k = 90.5 at iteration {iteration}"


def test_a_run_without_rows_is_left_out_unless_it_ended_badly(tmp_path):
    """One that diverged at once is a failure of its level: without it the level would look sound."""
    folder = make_run(tmp_path / "a", status=None, rows=0, metrics={})
    assert reason_of(folder) == "no rows yet"
    for name, status in {"b": "diverged", "c": "failed"}.items():
        folder = make_run(tmp_path / name, status=status, reason="why", rows=0, metrics={})
        for _ in range(2):
            (run,), aside = read_all([folder])
            assert (run.status, run.reason, run.iteration, run.note, aside) == (status, "why", 0, None, [])
            (folder / "metrics.jsonl").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "cannot be read: "),
        ("\xff", "is not the config of a run"),
        ("- 1", "is not the config of a run"),
        ("seed: 0", "is not the config of a run"),
        ("run: 3\nseed: 0", "config.yaml is not that of a run of ganduel"),
        ("run: {}\nlr: 1", "config.yaml is not that of a run of ganduel"),
        ("run: {}\nseed: null", "config.yaml is not that of a run of ganduel"),
        ("run: {}\nseed: .nan", "config.yaml is not that of a run of ganduel"),
        ("run: {}\nseed: true", "config.yaml is not that of a run of ganduel"),
        ("run: {}\nseed: [0, 1]", "config.yaml is not that of a run of ganduel"),
        ("run: {}\nseed: &a [*a]", "cannot be read: it has aliases"),
        ("run: {}\nseed: 0\na: " + "[" * 3000, "cannot be read: "),
    ],
)
def test_configs_that_are_not_ours(tmp_path, text, said):
    folder = make_run(tmp_path / "a")
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    assert said in reason_of(folder)


def test_a_config_that_is_no_text(tmp_path):
    folder = make_run(tmp_path / "a")
    (folder / "config.yaml").write_bytes(b"\xff\xfe\xff")
    assert "cannot be read: " in reason_of(folder)


def test_a_row_that_is_no_text_costs_itself_alone(tmp_path):
    path = make_run(tmp_path / "a") / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"iteration": 900, "a": "\xff"}\n{"iteration": 950, "a": 1.0}\n')
    run = run_of(tmp_path / "a")
    assert run.note == "metrics.jsonl has 1 damaged row"
    assert (run.iteration, run.final("a")) == (950, 1.0)


def test_a_folder_that_may_not_be_entered(tmp_path, monkeypatch):
    """Tests may run as root, who may enter all; so iterdir refuses."""
    make_sweep(tmp_path / "sweep", 1)
    (tmp_path / "sweep" / "secret").mkdir()
    listing = Path.iterdir

    def refuse(path: Path) -> Any:
        if path.name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    runs, aside = read_all([tmp_path / "sweep"])
    assert len(runs) == 2
    assert ["Permission denied" in entry.reason for entry in aside] == [True]


# ---- rows


def test_the_last_value_may_be_no_number(tmp_path):
    """NaN at the end is the last value; it is not as if the metric had not been measured again."""
    folder = make_run(tmp_path / "a")
    append(folder / "metrics.jsonl", f'{{"iteration": 500, "{FD}": NaN, "loss/d": Infinity}}')
    run = run_of(folder)
    assert math.isnan(run.final(FD))
    assert run.final("loss/d") == math.inf
    assert run.final(RECALL) == 0.5


def test_rows_of_all_kinds_do_not_cost_the_run(tmp_path):
    folder = make_run(tmp_path / "a")
    append(
        folder / "metrics.jsonl",
        '{"iteration": 600, "a": true, "b": "x", "c": {"d": 1}, "e": [1, [2]], "f": null, "loss/d": 0.5}',
        '{"iteration": [600], "a": 1}', '{"iteration": NaN, "a": 1}', "3", "[]", "null", "not json",
        '{"iteration": 650, "seconds": Infinity}',
    )  # fmt: skip
    run = run_of(folder)
    assert (run.iteration, run.final("loss/d")) == (650, 0.5)
    assert {"a", "b", "c", "e"}.isdisjoint(run.curves)
    assert run.seconds == 10.0


def test_a_run_without_seconds(tmp_path):
    folder = make_run(tmp_path / "a")
    (folder / "metrics.jsonl").write_text('{"iteration": 5}\n')
    assert (run_of(folder).seconds, run_of(folder).iteration) == (0.0, 5)


# ---- the other files


def test_a_run_needs_only_its_config_and_rows(tmp_path):
    folder = make_run(tmp_path / "a")
    for name in ("protocols.jsonl", "histograms.jsonl", "loss_form.json"):
        (folder / name).unlink()
    (folder / "samples").rename(folder / "elsewhere")
    run = run_of(folder)
    assert (run.protocols, run.histograms, run.loss_form, run.pictures, run.stills) == ({}, {}, None, {}, {})
