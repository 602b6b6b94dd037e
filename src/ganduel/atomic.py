"""Files that are written whole or not at all: a kill, a full disk or an error leaves the old file, or none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganduel.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path`, with its suffix, that takes its place when all went well, and else leaves nothing."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def output(path: Path) -> Iterator[Path]:
    """As `replacing`, in a folder that is made if need be, for a file that the user has asked for by --out."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            yield part
    except OSError as error:
        raise UserError(f"--out {path} cannot be written: {error.strerror or error}.") from error
