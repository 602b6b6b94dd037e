"""An error in a user's own class names the class and the line; only a fault of the program is called one."""

import importlib
import json
import sys

import pytest

from ganduel.ema import EMA
from ganduel.errors import UserError
from ganduel.factory.part import build
from ganduel.run.explain import explain, trace

PART = """
import torch
from ganduel.model.base import as_logits


class Part:
    def __init__(self, how="", x=None):
        if how == "refuses":
            raise ValueError("how=refuses is not what I take.\\nNor is anything else.")
        if how == "shapes":
            torch.zeros(2, 3) @ torch.zeros(2, 3)
        if how == "calls back":
            as_logits(torch.zeros(2, 1))
        if how == "file":
            open("/nowhere/file")
        if how == "wraps":
            try:
                {}["missing"]
            except KeyError as error:
                raise RuntimeError("could not look it up") from error
"""

CALLBACK = """
from lightning.pytorch import Callback

class Mine(Callback):
    def on_train_batch_end(self, *_):
        1 / 0
"""


@pytest.fixture
def part(tmp_path, monkeypatch):
    """A user module, in the folder that the command is run in."""
    (tmp_path / "their.py").write_text(PART)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield "their.Part"
    sys.modules.pop("their", None)


@pytest.mark.parametrize(
    ("how", "message", "line", "trace_begins"),
    [
        ("refuses", "model.generator: how=refuses is not what I take", 9, False),
        ("shapes", "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", 11, True),
        ("calls back", "D must give one logit per sample, shape (batch,), not (2, 1). Squeeze it", 13, False),
        ("file", "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/file'", 15, True),
        ("wraps", "RuntimeError: could not look it up", 20, True),
    ],
)
def test_the_users_line_is_named(part, how, message, line, trace_begins):
    """All of these were "a fault of the program; please report it", below forty frames of libraries."""
    with pytest.raises((UserError, RuntimeError, OSError)) as caught:
        build({"_target_": part, "how": how}, "model.generator")
    assert explain(caught.value) == f"{message} (Part.__init__, their.py, line {line})."
    lines = trace(caught.value)
    assert bool(lines) == trace_begins
    assert "hydra" not in lines
    assert f'their.py", line {line}, in __init__' in lines or not trace_begins


def test_what_caused_it_is_in_the_trace_too(part):
    with pytest.raises(RuntimeError) as caught:
        build({"_target_": part, "how": "wraps"})
    assert "KeyError: 'missing'" in trace(caught.value)


def test_an_error_without_a_line_of_the_users_is_the_programs():
    """And all of its traceback is shown."""
    with pytest.raises(AttributeError) as caught:
        EMA.decay(object(), 1, 1)
    assert explain(caught.value) is None
    assert trace(caught.value).startswith("Traceback")
    assert "test_user_code.py" in trace(caught.value)


def test_a_callback_that_raises_during_training_is_named(command, tmp_path, monkeypatch):
    """From the command line to the record of the run."""
    (tmp_path / "theirs.py").write_text(CALLBACK)
    (tmp_path / "conf" / "callback").mkdir(parents=True)
    (tmp_path / "conf" / "callback" / "mine.yaml").write_text("mine: {_target_: theirs.Mine}\n")
    outcome = command(
        "--config-dir=conf", "data=ring8", "tracking=none", "trainer.max_steps=2", "trainer.accelerator=cpu",
        "callback=[mine]", "hydra.run.dir=run", "model.generator.hidden=[8]", "model.discriminator.hidden=[8]",
    )  # fmt: skip
    line = "ZeroDivisionError: division by zero (Mine.on_train_batch_end, theirs.py, line 6)."
    assert (outcome.code, outcome.err.splitlines()[-1]) == (1, f"error: {line}")
    assert outcome.err.splitlines()[0] == "Traceback (most recent call last):"
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["reason"] == line


LOGGER = """
from lightning.pytorch.loggers import Logger


class Mine(Logger):
    name, version = "mine", 0

    def log_hyperparams(self, *args, **kwargs):
        pass

    def log_metrics(self, metrics, step=None):
        raise ConnectionError("no route to host")
"""


def test_a_logger_that_raises_during_training_does_not_end_the_run(command, tmp_path):
    """A server that went away in the night was the end of every run that logged to it."""
    (tmp_path / "their_logger.py").write_text(LOGGER)
    (tmp_path / "conf" / "tracking").mkdir(parents=True)
    (tmp_path / "conf" / "tracking" / "mine.yaml").write_text("_target_: their_logger.Mine\n")
    outcome = command(
        "--config-dir=conf", "data=ring8", "tracking=mine", "trainer.max_steps=2", "trainer.accelerator=cpu",
        "callback=[statistics]", "hydra.run.dir=run", "model.generator.hidden=[8]", "model.discriminator.hidden=[8]",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    line = "Mine (tracking) fails: ConnectionError: no route to host (Mine.log_metrics, their_logger.py, line 12)."
    assert outcome.out.count(line) == 1
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "finished"
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2
