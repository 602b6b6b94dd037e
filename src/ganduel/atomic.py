"""Atomic writes: a kill, a full disk or an error leaves the old file, or none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from ganduel.errors import UserError


@contextmanager
def atomic_write(path: Path, token: str = "part") -> Iterator[Path]:
    """A temporary file with the suffix of `path`, moved to `path` on success and removed on an error.

    Args:
        path: the file.
        token: in the temporary name. Files of a run have one writer, which holds the run's lock, and a fixed name, so
            that what a kill leaves is overwritten by the next write.
    """
    part = path.with_name(f".{path.stem}.{token}{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """As `atomic_write`, for a file given by --out, which several commands may write at once; creates its folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, token=f"{uuid4().hex[:8]}.part") as part:
            yield part
    except OSError as error:
        raise UserError(f"--out {path} cannot be written: {error.strerror or error}.") from error
