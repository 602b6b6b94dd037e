"""A W&B that fails, hangs or cannot keep up: a line says so, and training goes on."""

import sys
import time
from threading import Event

import pytest
from small import SMALL
from wandb_double import CONFIG, SUMMARY

from ganduel.run import run
from ganduel.tracking import wandb as module
from ganduel.tracking.files import rows

WORDS = (*SMALL, "k=2", "trainer.max_steps=5", "log_every=2")


@pytest.fixture
def hang():
    """Something that hangs until the test is over."""
    go = Event()
    yield lambda *arguments: go.wait(60)
    go.set()


def fail(*arguments, **knobs):
    raise OSError("no\nway")


def test_a_server_that_fails_means_offline(tracker, library, lines):
    """With what it says in one line, and the attempt out of the way: it would hold the run's id."""
    library.begin = lambda mode: fail() if mode == "online" else None
    tracker()
    assert [made.arguments["mode"] for made in library.runs] == ["offline"]
    assert library.teardowns == 1
    assert len(lines()) == 1
    assert lines()[0].startswith("W&B: offline (no way). To upload it later: wandb sync ")


@pytest.mark.parametrize("broken", ["init", "login", "setup", "Settings"])
def test_where_nothing_works_it_is_off(tracker, library, lines, broken):
    setattr(library, broken, fail)
    if broken == "login":
        library.begin = fail
    followed = tracker()
    followed.log_metrics({"iteration": 1}, step=1)
    followed.finish(SUMMARY)
    assert lines() == ["W&B: off (no way)"]


def test_a_library_that_is_missing_is_off(tracker, monkeypatch, lines):
    monkeypatch.setitem(sys.modules, "wandb", None)
    tracker()
    assert len(lines()) == 1
    assert lines()[0].startswith("W&B: off (import of wandb halted")


def test_a_start_that_hangs_is_given_up(tracker, library, lines, hang):
    library.begin = hang
    begun = time.monotonic()
    followed = tracker()
    followed.finish(SUMMARY)
    assert time.monotonic() - begun < 5
    assert lines() == ["W&B: off (it does not answer within 0.3 s)"]


def test_rows_that_fail_are_told_once(tracker, library, lines, tmp_path):
    library.log = fail
    followed = tracker()
    for n in range(1, 4):
        followed.log_metrics({"iteration": n}, step=n)
    followed.finish(SUMMARY)
    assert lines()[1:] == [f"W&B fails: no way. The record in {tmp_path} is complete without it."]
    assert followed.run.code == 0


def test_rows_that_hang_hold_up_neither_training_nor_the_end(tracker, library, lines, hang):
    library.log = hang
    followed = tracker()
    begun = time.monotonic()
    for n in range(1, 1000):
        followed.log_metrics({"iteration": n}, step=n)
    followed.finish(SUMMARY)
    assert time.monotonic() - begun < 5
    assert len(lines()) == 2
    assert "has not taken everything. To upload the rest: wandb sync --include-online " in lines()[1]
    assert library.teardowns == 1


def test_what_it_cannot_keep_up_with_is_left_out(tracker, library, lines, hang, monkeypatch):
    monkeypatch.setattr(module, "MAX_PENDING_ROWS", 10)
    library.log = hang
    followed = tracker()
    for n in range(1, 1000):
        followed.log_metrics({"iteration": n}, step=n)
    assert followed.worker.pending() <= 11
    assert [line for line in lines() if "misses rows" in line] == lines()[1:]


@pytest.mark.parametrize(
    ("error", "said", "teardowns"),
    [
        (TimeoutError("Timed out finishing run."), "W&B has not taken everything. To upload the rest: wandb sync ", 1),
        (ConnectionResetError("Connection lost"), "W&B fails at the end: Connection lost. The record in ", 1),
    ],
)
def test_an_end_that_fails_is_told(tracker, library, lines, error, said, teardowns):
    def finish():
        raise error

    library.finish = finish
    tracker().finish(SUMMARY)
    assert len(lines()) == 2
    assert lines()[1].startswith(said)
    assert library.teardowns == teardowns


def test_training_goes_on_when_it_breaks(compose, library, lines, tmp_path):
    """It fails from the third call on; the run and its record are whole."""
    calls = []
    library.log = lambda row: calls.append(row) if len(calls) < 2 else fail()
    values = compose(*WORDS, "tracking=wandb", "callback=[statistics]")
    values["run"] = CONFIG["run"]
    summary = run.fit(values, tmp_path / "run")
    assert summary["status"] == "finished"
    assert [row["iteration"] for row in rows(tmp_path / "run" / "metrics.jsonl")] == [1, 2, 4, 5]
    assert len([line for line in lines() if line.startswith("W&B fails")]) == 1
