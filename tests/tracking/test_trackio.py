"""The logger for Trackio, with a double in its place; and with Trackio itself where it is installed."""

import sqlite3
import sys
from contextvars import ContextVar
from types import SimpleNamespace

import pytest
from wandb_double import CONFIG, SUMMARY

from ganduel.errors import UserError
from ganduel.tracking.trackio import Trackio

current = ContextVar("current", default=None)


class Run:
    def __init__(self, arguments):
        self.arguments, self.rows, self.finished = arguments, [], False

    def log(self, row, step):
        assert not self.finished
        self.rows.append((step, row))

    def finish(self):
        self.finished = True
        print("* Run finished. Uploading logs to Trackio")


def init(**arguments):
    """As Trackio's: a second run finishes the first of its context."""
    if current.get() is not None:
        current.get().finish()
    current.set(Run(arguments))
    print("* Trackio project initialized")
    return current.get()


@pytest.fixture
def double(monkeypatch):
    library = SimpleNamespace(init=init, Image=lambda path, caption: (path, caption))
    monkeypatch.setitem(sys.modules, "trackio", library)


def test_without_trackio_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(UserError, match=r"^tracking=trackio needs trackio: pip install 'ganduel\[trackio\]'\.$"):
        Trackio(tmp_path, CONFIG)


@pytest.mark.usefixtures("double")
def test_members_of_a_population_have_a_run_each(tmp_path, capsys):
    loggers = [Trackio(tmp_path / f"seed={seed}", CONFIG) for seed in (0, 1)]
    for logger in loggers:
        logger.begin(0)
    for n, logger in enumerate(loggers):
        logger.log_metrics({"loss/d": 1.5 * n}, step=50)
        logger.log_picture("samples/fake", tmp_path / "x.png", "a caption", step=50)
        logger.finish(SUMMARY)
    rows = [logger.run.rows for logger in loggers]
    assert [row[0] for row in rows] == [(50, {"iteration": 50, "loss/d": 0.0}), (50, {"iteration": 50, "loss/d": 1.5})]
    assert rows[0][1] == (50, {"samples/fake": (str(tmp_path / "x.png"), "a caption")})
    assert all(logger.run.finished for logger in loggers)
    assert capsys.readouterr().out == ""  # its six lines per run


@pytest.mark.usefixtures("double")
def test_a_run_is_named_grouped_and_without_secrets(tmp_path):
    logger = Trackio(tmp_path / "a", CONFIG, project="mine")
    logger.begin(0)
    told = logger.run.arguments
    assert (told["project"], told["name"]) == ("mine", "a-0a1b2c3d")
    assert told["group"] == "nonsaturating-r1-mlp-mnist-k2"
    assert told["config"]["data"] == {"token": "(hidden)"}
    assert told["resume"] == "allow"  # a resumed run goes on in its own


@pytest.mark.slow
def test_trackio_itself_keeps_the_rows_of_both(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "store"))  # read when it is imported
    pytest.importorskip("trackio", reason="the extra trackio is not installed")
    loggers = [Trackio(tmp_path / f"seed={seed}", CONFIG) for seed in (0, 1)]
    for logger in loggers:
        logger.begin(0)
    for logger in loggers:
        for n in (50, 100):
            logger.log_metrics({"loss/d": 0.5}, step=n)
    for logger in loggers:
        logger.finish(SUMMARY)
    rows = sqlite3.connect(tmp_path / "store" / "ganduel.db").execute("select run_name, step from metrics")
    assert sorted(rows) == [(f"seed={seed}-0a1b2c3d", n) for seed in (0, 1) for n in (50, 100)]
