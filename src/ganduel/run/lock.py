"""A lock on the folder of a run: two processes that write the same files would corrupt them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ganduel.errors import UserError

try:
    import fcntl
except ImportError:  # not on Windows, where nothing is locked
    fcntl = None

LOCK = ".lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[int | None]:
    """Hold the folder's lock; yields the open file, or None where nothing can be locked.

    The operating system releases it when all processes in which the file is open have ended, however they end. The
    file stays: another process may have it open already, and would lock a file that is gone.
    """
    if fcntl is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR)
    try:
        with suppress(OSError):  # a file system without locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"another process is training in {folder}. Wait for it, or choose another.") from None
        yield descriptor
    finally:
        os.close(descriptor)
