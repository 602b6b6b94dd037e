"""W&B sees the whole run and can do nothing to it: with a stand-in for it that fails in every way.

`tests/test_wandb_itself.py` is about the real one.
"""

import logging
import os
import sys
import time
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from small import SMALL

from ganduel.run import run
from ganduel.tracking import wandb as module
from ganduel.tracking.files import rows
from ganduel.tracking.secrets import HIDDEN
from ganduel.tracking.wandb import Wandb

WORDS = (*SMALL, "k=2", "trainer.max_steps=5", "log_every=2")
CONFIG = {
    "seed": 3,
    "k": 2,
    "batch_size": 8,
    "data": {"token": "abc"},
    "run": {
        "id": "0a1b2c3d",
        "choices": {"loss": "nonsaturating", "penalty": "r1", "model": "mlp", "data": "mnist"},
        "overrides": [],
    },
}
SUMMARY = {"status": "finished", "reason": None, "iteration": 7, "metrics": {"loss/d": 1.5, "iteration": 6}}


class Run:
    """A run of the stand-in's: it keeps what it is told."""

    def __init__(self, library, arguments):
        self.library, self.arguments = library, arguments
        prefix = "offline-run" if arguments["mode"] == "offline" else "run"
        self.dir = str(Path(arguments["dir"]) / "wandb" / f"{prefix}-1-{arguments['id']}" / "files")
        Path(self.dir).mkdir(parents=True, exist_ok=True)
        self.url = "https://wandb.example/run"
        self.rows, self.summary, self.metrics, self.code = [], {}, [], None

    def define_metric(self, name, step_metric):
        self.metrics.append((name, step_metric))

    def log(self, row, step=None, commit=None):
        self.library.log(row)
        self.rows.append((step, row))

    def finish(self, exit_code):
        self.library.finish()
        self.code = exit_code


class Library:
    """In W&B's place. What one of its hooks does can be replaced: raise, or hang."""

    Settings = type("Settings", (dict,), {"model_fields": {"silent", "console", "init_timeout"}})
    Histogram = Image = staticmethod(lambda *args, **kwargs: (args, kwargs))

    def __init__(self):
        self.runs, self.teardowns, self.mode, self.key = [], 0, "online", True
        self.begin = self.log = self.finish = lambda *arguments: None

    def setup(self, settings):
        return SimpleNamespace(settings=SimpleNamespace(mode=self.mode))

    def login(self, prompt, verify):
        return self.key

    def init(self, **arguments):
        self.begin(arguments["mode"])
        self.runs.append(Run(self, arguments))
        return self.runs[-1]

    def teardown(self):
        self.teardowns += 1


@pytest.fixture
def library(monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")  # or else it would be left behind
    stand_in = Library()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)
    return stand_in


@pytest.fixture
def lines(caplog):
    """What the program has said so far, a line each."""
    caplog.set_level(logging.INFO, logger="ganduel")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "ganduel"]


@pytest.fixture
def tracker(library, tmp_path):
    """A function that makes a tracker of the stand-in's, and begins."""

    def make(config=CONFIG, **knobs):
        made = Wandb(tmp_path, config, **{"init_timeout": 0.0, "finish_timeout": 0.0, **knobs})
        made.begin(0)
        return made

    return make


@pytest.fixture
def hang():
    """Something that hangs until the test is over."""
    go = Event()
    yield lambda *arguments: go.wait(60)
    go.set()


def fail(*arguments, **knobs):
    raise OSError("no\nway")


def rows_of(tracker):
    """All rows that the stand-in has got."""
    tracker.worker.submit(lambda: None).result(5)
    return tracker.run.rows


def test_a_run_of_ours_is_one_of_its_own(tracker, library, tmp_path, lines):
    tracker(project="p", entity="us", tags=["mine"])
    (made,) = library.runs
    told = {key: made.arguments[key] for key in ("id", "name", "dir", "project", "entity", "mode", "resume", "reinit")}
    assert told == {
        "id": "0a1b2c3d",
        "name": tmp_path.name,
        "dir": str(tmp_path),
        "project": "p",
        "entity": "us",
        "mode": "online",
        "resume": "allow",
        "reinit": "create_new",
    }
    assert made.arguments["group"] == "nonsaturating-r1-mlp-mnist-k2"
    assert made.arguments["job_type"] == "nonsaturating"
    assert made.arguments["tags"] == ["nonsaturating", "r1", "mlp", "mnist", "k2", "seed3", "mine"]
    assert made.arguments["config"] == {**CONFIG, "data": {"token": HIDDEN}}
    assert made.metrics == [("*", "images_seen")]
    assert lines() == ["W&B: online (there is an API key): https://wandb.example/run"]


def test_a_group_of_the_users_own_stands(tracker, library):
    tracker(group="mine")
    assert library.runs[0].arguments["group"] == "mine"


def test_every_row_has_iteration_and_images(tracker, tmp_path):
    """Pictures and rows of other loggers' callbacks, which do not know of images, included."""
    followed = tracker()
    followed.log_metrics({"iteration": 1, "images_seen": 16, "loss/d": 1.0}, step=1)
    followed.log_metrics({"iteration": 2, "images_seen": 32})
    followed.log_metrics({"lr": 0.1}, step=3)
    followed.log_picture("samples/fake", tmp_path / "a.png", "a caption", step=4)
    assert rows_of(followed) == [
        (1, {"iteration": 1, "images_seen": 16, "loss/d": 1.0}),
        (2, {"iteration": 2, "images_seen": 32}),
        (3, {"iteration": 3, "images_seen": 48, "lr": 0.1}),
        (
            4,
            {
                "iteration": 4,
                "images_seen": 64,
                "samples/fake": ((str(tmp_path / "a.png"),), {"caption": "a caption"}),
            },
        ),
    ]


def test_histograms_have_their_edges(tracker):
    followed = tracker()
    followed.log_histograms({"d/real": [1, 2, 3, 4], "logit/fake": [5, 6]}, step=1)
    ((_, row),) = rows_of(followed)
    counts, edges = row["hist/d_real"][1]["np_histogram"]
    assert counts.tolist() == [1, 2, 3, 4]
    assert edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert row["hist/logit_fake"][1]["np_histogram"][1].tolist() == [-16, 0, 16]


@pytest.mark.parametrize(("status", "code"), [("finished", 0), ("stopped", 0), ("failed", 1), ("diverged", 1)])
def test_the_end_is_told(tracker, status, code):
    followed = tracker()
    followed.log_metrics({"iteration": 6, "loss/d": 1.5}, step=6)
    followed.finish({**SUMMARY, "status": status})
    assert followed.run.code == code
    told = {"status": status, "reason": None, "iteration": 7, "images_seen": 112, "loss/d": 1.5}
    assert followed.run.summary == told


def test_a_finished_tracker_is_done(tracker, library, lines):
    followed = tracker()
    followed.finish(SUMMARY)
    followed.log_metrics({"iteration": 8}, step=8)
    followed.finish(SUMMARY)
    assert len(followed.run.rows) == 1  # the empty one that has W&B write its last row
    assert len(lines()) == 1
    assert library.teardowns == 0


def test_the_next_run_of_the_process_has_its_own(tracker, library, tmp_path):
    tracker().finish(SUMMARY)
    tracker({**CONFIG, "run": {**CONFIG["run"], "id": "ffffffff"}})
    assert [made.arguments["id"] for made in library.runs] == ["0a1b2c3d", "ffffffff"]


def test_only_the_first_rank_tells(tracker, library, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    followed = tracker()
    followed.log_metrics({"iteration": 1}, step=1)
    followed.finish(SUMMARY)
    assert library.runs == []


def test_without_a_key_it_is_offline(tracker, library, lines, tmp_path):
    library.key = False
    tracker()
    (made,) = library.runs
    assert made.arguments["mode"] == "offline"
    folder = tmp_path / "wandb" / "offline-run-1-0a1b2c3d"
    why = "no API key; wandb login takes one"
    assert lines() == [f"W&B: offline ({why}). To upload it later: wandb sync {folder}"]


def test_a_resumed_run_names_all_its_folders(tracker, library, lines, tmp_path):
    library.key = False
    (tmp_path / "wandb" / "offline-run-0-0a1b2c3d").mkdir(parents=True)
    tracker()
    first, second = (tmp_path / "wandb" / f"offline-run-{n}-0a1b2c3d" for n in (0, 1))
    assert lines()[0].endswith(f": wandb sync {first} {second}")


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_set_mode_decides(tracker, library, lines, monkeypatch, mode):
    """A key or none."""
    monkeypatch.setenv("WANDB_MODE", mode)
    library.mode = mode
    followed = tracker()
    followed.log_metrics({"iteration": 1}, step=1)
    followed.finish(SUMMARY)
    assert [made.arguments["mode"] for made in library.runs] == [mode] * (mode == "offline")
    assert len(lines()) == 1
    assert f"(WANDB_MODE says {mode})" in lines()[0]


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
