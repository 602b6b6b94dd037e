"""Atomic writes: a kill, a full disk or an error leaves the old file, or none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganduel.errors import UserError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary file with the suffix of `path`, moved to `path` on success and removed on an error."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """As `atomic_write`, for a file given by --out; its folder is created if missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            yield part
    except OSError as error:
        raise UserError(f"--out {path} cannot be written: {error.strerror or error}.") from error
