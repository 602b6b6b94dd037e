"""One process at a time holds the lock of a run's folder."""

import subprocess
import sys

import pytest

from ganduel.errors import UserError
from ganduel.run.lock import LOCK, folder_lock

HOLD = """
import sys
from pathlib import Path
from ganduel.run.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print()
    input()
"""


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path):
    """However it ends: the operating system releases the lock. The file stays, as others may have it open."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        holder.stdout.readline()
        with pytest.raises(UserError, match="another process is training in"), folder_lock(tmp_path):
            pass
        assert (tmp_path / LOCK).exists()
        holder.kill()
    assert (tmp_path / LOCK).exists()
    for _ in range(2):
        with folder_lock(tmp_path):
            pass
    assert (tmp_path / LOCK).exists()


def test_a_process_that_has_the_file_open_holds_the_lock_on(tmp_path):
    """The further processes of a population outlived the first without one, and set members back that had finished."""
    with folder_lock(tmp_path) as lock:
        other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock])
    with other:
        with pytest.raises(UserError, match="another process is training in"), folder_lock(tmp_path):
            pass
        other.communicate(b"\n")
    with folder_lock(tmp_path):
        pass


def test_an_error_inside_passes_and_frees(tmp_path):
    folder = tmp_path / "new" / "run"
    for _ in range(2):
        with pytest.raises(OSError, match="full"), folder_lock(folder):
            raise OSError("the disk is full")
