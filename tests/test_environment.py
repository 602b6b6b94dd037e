"""Only one process is the first, whatever started the others; and they end when it does."""

import os
import signal
import subprocess
import sys

import pytest

from ganduel.environment import PARENT_PID, RANKS, end_with_parent, rank_from_environment
from ganduel.tracking.base import is_first_rank


@pytest.mark.parametrize("name", RANKS)
def test_a_further_process_knows_that_it_is_not_the_first(monkeypatch, name: str):
    for other in RANKS:
        monkeypatch.delenv(other, raising=False)
    assert rank_from_environment() == 0
    assert is_first_rank()
    monkeypatch.setenv(name, "1")
    assert rank_from_environment() == 1
    assert not is_first_rank()


WAITS = """
import os, sys
from functools import partial
from ganduel.environment import end_with_parent
end_with_parent(partial(os._exit, 7))
print(flush=True)
sys.stdin.read()
"""


def test_a_process_ends_with_the_one_that_started_it():
    """SIGKILL of the first rank left the others waiting for it for half an hour."""
    middle = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {WAITS!r}]).wait()"
    with subprocess.Popen([sys.executable, "-c", middle], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        first.stdout.readline()
        first.send_signal(signal.SIGKILL)
        assert first.stdout.read() == b""  # which it has open until it ends


def test_one_whose_parent_was_gone_before_it_looked_ends_too(monkeypatch):
    monkeypatch.setenv(PARENT_PID, str(os.getpid()))
    ended = []
    end_with_parent(lambda: ended.append(True)).join(timeout=10)
    assert ended == [True]
