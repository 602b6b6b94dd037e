"""The run's own record: rows are on disk as they come, and a resume drops what it will make again."""

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganduel.tracking.files import CONFIG, HISTOGRAMS, METRICS, SUMMARY, read_config, rows
from ganduel.tracking.run_logger import RunLogger, append, rewind, write, write_config

ROWS = [{"iteration": n, "loss/d": 1.5 * n, "d/real": [n, 2]} for n in (1, 50, 100)]


@pytest.fixture
def metrics(tmp_path):
    path = tmp_path / METRICS
    for row in ROWS:
        append(path, row)
    return path


def test_rows_come_back(metrics):
    assert rows(metrics) == ROWS
    assert metrics.read_text().count("\n") == 3


def test_a_row_is_whole_though_the_system_takes_it_in_pieces(tmp_path, monkeypatch):
    write_all = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write_all(file, data[:3]))
    for row in ROWS:
        append(tmp_path / METRICS, row)
    assert rows(tmp_path / METRICS) == ROWS


def test_no_file_has_nothing_to_rewind(tmp_path):
    rewind(tmp_path / "none", 5)
    assert list(tmp_path.iterdir()) == []


def test_numbers_keep_their_digits_and_what_is_none_is_null(tmp_path):
    append(tmp_path / "x", {"a": 0.1 + 0.2, "b": float("nan"), "c": float("inf")})
    assert (tmp_path / "x").read_text() == '{"a": 0.30000000000000004, "b": null, "c": null}\n'
    assert rows(tmp_path / "x") == [{"a": 0.1 + 0.2, "b": None, "c": None}]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 200))
def test_a_file_cut_off_anywhere_loses_only_rows_at_its_end(tmp_path, cut):
    """A kill in the middle of a write; what a resume then appends is a row of its own."""
    path = tmp_path / METRICS
    path.unlink(missing_ok=True)
    for row in ROWS:
        append(path, row)
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - cut)])
    left = rows(path)
    assert left == ROWS[: len(left)]
    assert len(left) >= 3 - 1 - cut // 20
    rewind(path, 1000)
    append(path, {"iteration": 150})
    assert rows(path) == [*left, {"iteration": 150}]


def test_a_damaged_row_is_left_out_and_said(metrics, caplog):
    """A bad sector, or an editor that saves in another encoding: the rows around it are kept."""
    lines = metrics.read_bytes().splitlines(keepends=True)
    metrics.write_bytes(b"".join([lines[0], b'{"iteration": 7, "loss/d": "\xff"}\n', b"{\n", *lines[1:]]))
    with caplog.at_level("WARNING", "ganduel"):
        rewind(metrics, 50)
    assert rows(metrics) == ROWS[:2]
    assert caplog.messages == [f"{metrics.parent}: metrics.jsonl has 2 damaged rows"]


@pytest.mark.parametrize(("iteration", "left"), [(0, 0), (1, 1), (49, 1), (50, 2), (99, 2), (100, 3), (1000, 3)])
def test_rewind_drops_the_rows_after_an_iteration(metrics, iteration, left):
    rewind(metrics, iteration)
    assert rows(metrics) == ROWS[:left]
    assert [file.name for file in metrics.parent.iterdir()] == [METRICS]


def test_record_takes_rows_and_knows_the_last_values(tmp_path):
    logger = RunLogger(tmp_path)
    logger.log_metrics({"iteration": 1, "loss/d": 1.4, "fd": 90.0}, step=1)
    logger.log_metrics({"iteration": 2, "loss/d": 1.3}, step=2)
    assert logger.last == {"iteration": 2, "loss/d": 1.3, "fd": 90.0}
    assert [row["iteration"] for row in rows(tmp_path / METRICS)] == [1, 2]
    logger.log_histograms({"d/real": [1, 2]}, step=2)
    assert rows(tmp_path / HISTOGRAMS) == [{"iteration": 2, "d/real": [1, 2]}]


def test_a_row_is_on_disk_when_the_call_returns(tmp_path):
    """Read through another handle, with the record still open: a kill comes without notice."""
    logger = RunLogger(tmp_path)
    logger.log_metrics({"iteration": 1}, step=1)
    assert json.loads((tmp_path / METRICS).read_bytes()) == {"iteration": 1}


def test_a_resumed_record_goes_on_where_its_checkpoint_is(tmp_path):
    first = RunLogger(tmp_path)
    for n in (1, 2, 3):
        first.log_metrics({"iteration": n, "loss/d": float(n)}, step=n)
        first.log_histograms({"d/real": [n]}, step=n)
    first.finish({"status": "stopped"})
    again = RunLogger(tmp_path)
    assert (tmp_path / SUMMARY).exists(), "it may still be refused"
    again.begin(2)
    assert again.last == {"iteration": 2, "loss/d": 2.0}
    assert [row["iteration"] for name in (METRICS, HISTOGRAMS) for row in rows(tmp_path / name)] == [1, 2, 1, 2]
    assert not (tmp_path / SUMMARY).exists(), "a run that goes on has no summary yet"


def test_rewind_drops_rows_without_an_iteration(tmp_path):
    """As of a file that was edited by hand, or of another program's."""
    path = tmp_path / METRICS
    path.write_text('{"iteration": 1}\n{"loss/d": 2.0}\n{"iteration": null}\n{"iteration": "3"}\n{"iteration": 4}\n')
    rewind(path, 3)
    assert rows(path) == [{"iteration": 1}]
    logger = RunLogger(tmp_path)
    logger.begin(9)
    assert logger.last == {"iteration": 1}


def test_histograms_of_logits_alone(tmp_path):
    """Those of a loss whose logits are not log-odds."""
    RunLogger(tmp_path).log_histograms({"logit/real": [1, 2], "logit/fake": [3, 0]}, step=5)
    assert rows(tmp_path / HISTOGRAMS) == [{"iteration": 5, "logit/real": [1, 2], "logit/fake": [3, 0]}]


def test_a_record_of_another_rank_touches_nothing(metrics, monkeypatch):
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    before = metrics.read_bytes()
    (metrics.parent / SUMMARY).write_text("{}")
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = RunLogger(metrics.parent)
    logger.begin(0)
    logger.log_metrics({"iteration": 9}, step=9)
    logger.log_histograms({"d/real": [1]}, step=9)
    logger.finish({"status": "finished"})
    assert metrics.read_bytes() == before
    assert (metrics.parent / SUMMARY).read_text() == "{}"
    assert not (metrics.parent / HISTOGRAMS).exists()


def test_summary(tmp_path):
    logger = RunLogger(tmp_path)
    logger.finish({"status": "finished", "metrics": {"loss/d": 1.5}})
    assert json.loads((tmp_path / SUMMARY).read_text()) == {"status": "finished", "metrics": {"loss/d": 1.5}}


def test_config_round_trip_keeps_order_types_and_letters(tmp_path):
    values = {"seed": 0, "k": 1, "clip": {"generator": None}, "lr": 1e-4, "note": "β₁ = 0.5", "run": {"id": "a"}}
    write_config(tmp_path, values)
    found = read_config(tmp_path)
    assert found == values
    assert list(found) == list(values)
    assert "β₁" in (tmp_path / CONFIG).read_text(encoding="utf-8")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    """The text goes to a file beside it first."""
    write(tmp_path / "x", "old")

    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ganduel.atomic.os.replace", refuse)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "x", "new")
    assert (tmp_path / "x").read_text() == "old"


def test_a_protocol_is_written_once_and_again_when_it_changes(tmp_path):
    """As after an upgrade between two parts of a run."""
    logger = RunLogger(tmp_path)
    for step, word in ((2, "a"), (4, "a"), (6, "b"), (8, "b")):
        logger.log_protocols({"fd/points_2k": {"hash": word, "samples": 2000}}, step=step)
    found = rows(tmp_path / "protocols.jsonl")
    assert [(row["iteration"], row["hash"]) for row in found] == [(2, "a"), (6, "b")]
    assert found[0] == {"iteration": 2, "hash": "a", "samples": 2000, "metric": "fd/points_2k"}
