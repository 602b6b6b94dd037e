"""Files of data sets that are fetched from their address once, and kept whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from ganduel.errors import UserError

TIMEOUT = 10.0  # seconds that the server may be silent
FAILURES = (OSError, HTTPException, UserError)  # of a download


def download(url: str, path: Path, largest: int, check: Callable[[Path], Any]) -> None:
    """Download a file; written atomically.

    Args:
        url: its address.
        path: where it is kept.
        largest: bytes that are read, at most.
        check: raises a UserError unless the file that it is given is the published one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)  # first: a folder that cannot be written costs no download
    try:
        with urlopen(url, timeout=TIMEOUT) as response:
            content = response.read(largest)
    except HTTPError as error:
        error.close()  # the error is the response too
        raise
    with temporary_file(path) as new:
        new.write_bytes(content)
        try:
            check(new)
        except UserError as error:
            raise UserError(f"what {url} sends is not the published file") from error


def reason_of(failure: Exception) -> str:
    """Why a download failed, in one line without a full stop."""
    cause = failure.reason if type(failure) is URLError else failure
    return (str(cause).splitlines() or [type(cause).__name__])[0].rstrip(".")


@contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """A new file in the same folder, moved to `path` at the end; other ranks may do so at the same time."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    os.close(descriptor)
    try:
        yield Path(name)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
