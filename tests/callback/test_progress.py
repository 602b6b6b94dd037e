"""A bar where there is a terminal; where there is none, a line now and then, and one at the end."""

from io import StringIO
from types import SimpleNamespace

import pytest
from lightning.pytorch import Callback
from rich.console import Console

from ganduel.callback.progress import ProgressBar


@pytest.fixture
def show(fit):
    """A function that runs six iterations and returns what was printed."""

    def show(terminal, seconds=1.0, last=None, callbacks=()):
        bar = ProgressBar(SimpleNamespace(last=last or {}), seconds=seconds)
        bar.console = Console(file=StringIO(), force_terminal=terminal, soft_wrap=True, highlight=False, width=200)
        fit(callbacks=[bar, *callbacks])
        return bar.console.file.getvalue()

    return show


def test_a_log_gets_the_last_line_of_a_short_run(show):
    (line,) = show(terminal=False, last={"loss/d": 1.38629, "loss/g": 0.7, "grad/norm_d": 3.0}).splitlines()
    assert line.startswith("iteration 6/6  ")
    assert "images/s  loss/d 1.386  loss/g 0.700" in line
    assert "grad" not in line
    assert "\x1b" not in line


class EachBatch(Callback):
    """A user callback that sees each iteration, so that a block is one."""

    def on_train_batch_end(self, *_):
        pass


def test_a_log_gets_a_line_each_time(show):
    lines = show(terminal=False, seconds=0.0, callbacks=[EachBatch()]).splitlines()
    assert [line.split()[1] for line in lines] == [f"{n}/6" for n in range(1, 7)]


def test_a_terminal_gets_a_bar_that_is_full_at_the_end(show):
    text = show(terminal=True, last={"d/real": 0.5})
    assert "6/6" in text
    assert "d/real 0.500" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor comes back"


def test_the_default_writes_to_stderr():
    """Standard output is left to what a user pipes on."""
    assert ProgressBar(SimpleNamespace(last={})).console.stderr
