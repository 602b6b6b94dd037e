"""Arrays of many files in one memory-mapped file, written once.

    FOLDER/images.npy       row i is the array of source i, zeros where it cannot be read
    FOLDER/about.json       of which sources and in what state, why rows are missing, a checksum of the others
    FOLDER/*.part           of what is not finished yet: a killed process's work is continued

All processes on a machine read the same pages, which the operating system keeps in memory while there is room: sets
may be larger than memory. It is told of the rows that come next, and reads them while a minibatch is computed; untold,
it would read 32 pages around each one that is missing.

One process writes, others wait for it. Sources are known by name, size and times; if any of these changes, all are read
again. The file is known by its own size and time: any other in its place is replaced.
"""

import hashlib
import json
import logging
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from mmap import ALLOCATIONGRANULARITY, mmap
from pathlib import Path
from typing import IO, cast
from uuid import uuid4

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from ganduel.atomic import atomic_write
from ganduel.errors import UserError

try:
    import fcntl
    from mmap import MADV_RANDOM, MADV_WILLNEED
except ImportError:  # not on Windows, where nothing is locked, and nothing read ahead
    fcntl = None

FORMAT = 1  # of what a source becomes: to be increased when the same file gives another array
CHUNK = 1024  # rows that are read together
DAMAGED = "is not as it was written"
ADVICE = "Name a folder that has room in the environment: GANDUEL_CACHE=FOLDER."

log = logging.getLogger("ganduel")
Reasons = dict[int, str]  # why a source has no array
ReadFn = Callable[[Sequence[Path], int], Iterable[np.ndarray | str]]  # of sources, of which so many are done


@dataclass(frozen=True)
class About:
    """What about.json says.

    Attributes:
        signature: of the sources and of how they are read.
        checksum: of all arrays, SHA-256.
        missing: sources without an array, and why.
        stamp: size and time of the file.
    """

    signature: str
    checksum: str
    missing: Reasons
    stamp: list[int]


@dataclass(frozen=True)
class Mapped:
    """The arrays.

    Attributes:
        rows: (sources, *shape), read-only.
        memory: mapped from the file, in which they are.
        about: what they are.
    """

    rows: Tensor
    memory: mmap
    about: About

    @property
    def readable(self) -> Int64[Tensor, " n"]:
        """The rows that have an array."""
        return without(len(self.rows), self.about.missing)

    def prefetch(self, indices: Tensor) -> None:
        """Begin to read rows in the background, where the file is not in memory."""
        row_bytes = self.rows[0].nbytes
        start = len(self.memory) - len(self.rows) * row_bytes
        for first in (start + indices.flatten() * row_bytes).tolist() if fcntl else ():
            page = first - first % ALLOCATIONGRANULARITY
            self.memory.madvise(MADV_WILLNEED, page, first + row_bytes - page)


class Store:
    """The file of some sources.

    Args:
        folder: where it is kept.
        name: of the sources, for messages.
        sources: the files that arrays are made of.
        read: makes them, in the order of the sources; or says in words why there is none.
        shape: of each array.
        dtype: likewise.
        options: what else the arrays depend on.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        sources: Sequence[Path],
        read: ReadFn,
        shape: Sequence[int],
        dtype: np.dtype,
        options: str,
    ):
        self.folder, self.name, self.sources, self.read, self.options = folder, name, sources, read, options
        self.shape, self.dtype = (len(sources), *shape), dtype
        self.path, self.about = folder / "images.npy", folder / "about.json"

    def load(self) -> Mapped:
        """The arrays, from the file if it is complete; otherwise it is written first."""
        signature = self.signature()
        mapped = self.complete(signature)
        if isinstance(mapped, str):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with locked(self.folder, self.name) as alone:
                    mapped = self.complete(signature)
                    if isinstance(mapped, str):
                        if mapped:
                            log.info("%s: %s %s: decoded again", self.name, self.folder, mapped)
                        mapped = self.write(signature, "part" if alone else f"{uuid4().hex[:8]}.part")
            except OSError as error:
                raise UserError(f"{self.folder} cannot be written: {error.strerror or error}. {ADVICE}") from error
        return mapped

    def signature(self) -> str:
        """A hash of the names, sizes and times of the sources, and of how they are read."""
        digest = hashlib.sha256(repr((FORMAT, self.options, self.shape, self.dtype.str)).encode())
        for source in self.sources:
            with suppress(OSError):  # gone, or behind a folder that may not be read
                state = source.stat()
                digest.update(repr((str(source), state.st_size, state.st_mtime_ns, state.st_ctime_ns)).encode())
        return digest.hexdigest()

    def complete(self, signature: str) -> Mapped | str:
        """The arrays; or what is wrong with the file: nothing if there is none."""
        try:
            values = json.loads(self.about.read_text(encoding="utf-8"))
            about = About(**{**values, "missing": {int(row): why for row, why in values["missing"].items()}})
            if about.signature != signature:
                return "is of other files, or of these before they changed"
            return open_mapped(self.path, about) if stamp_of(self.path) == about.stamp else DAMAGED
        except FileNotFoundError:
            return DAMAGED if self.about.exists() else ""
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return DAMAGED

    def write(self, signature: str, token: str) -> Mapped:
        """Write the file, or what is missing of it; returns its arrays."""
        part, journal = self.folder / f"images.{token}", self.folder / f"journal.{token}"
        missing = read_journal(journal, signature)
        if missing is None:  # of other sources, or none
            part.unlink(missing_ok=True)
            journal.write_text(json.dumps(signature) + "\n", encoding="utf-8")
        missing = self.append(part, journal, missing or {})
        if self.signature() != signature:
            journal.unlink()
            raise UserError(f"{self.name} has changed while it was read. Start again when nothing writes to it.")
        about = About(signature, checksum_of(map_file(part)[0], missing), missing, stamp_of(part))
        os.replace(part, self.path)
        with atomic_write(self.about, token) as path:
            path.write_text(json.dumps(asdict(about)), encoding="utf-8")
        journal.unlink()
        n = f"{len(self.sources) - len(missing):,}"
        log.info("%s: %s images decoded into %s (%s)", self.name, n, self.path, in_bytes(about.stamp[0]))
        return open_mapped(self.path, about)

    def append(self, part: Path, journal: Path, missing: Reasons) -> Reasons:
        """Append the rows that a part lacks; returns which have no array."""
        start, row_bytes = header_of(self.shape, self.dtype), self.dtype.itemsize * math.prod(self.shape[1:])
        with open(part, "ab") as file, open(journal, "a", encoding="utf-8") as lines:
            done = max(0, file.tell() - len(start)) // row_bytes
            check_room(self.folder, row_bytes * (len(self.sources) - done))
            file.truncate(len(start) + done * row_bytes if done else 0)
            if not done:
                file.write(start)
            missing = {row: why for row, why in missing.items() if row < done}
            for row, array in enumerate(self.read(self.sources[done:], done), done):
                if isinstance(array, str):
                    missing[row] = array
                    lines.write(json.dumps([row, array]) + "\n")
                    lines.flush()  # before its row: what there is of a file that was not finished is known
                    array = np.zeros(self.shape[1:], self.dtype)
                file.write(array.astype(self.dtype, copy=False).tobytes())
            file.flush()
            os.fsync(file.fileno())
        return missing


@contextmanager
def locked(folder: Path, name: str) -> Iterator[bool]:
    """Hold the folder's lock, after whoever holds it; yields whether there are locks here."""
    with open(folder / ".lock", "w") as file:
        alone = fcntl is not None
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("%s: another process is decoding the images; waiting for it", name)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:  # a file system without locks
                alone = False
        yield alone


def read_journal(path: Path, signature: str) -> Reasons | None:
    """What the journal of an unfinished file of that signature says is missing; None if there is none."""
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
        return dict(map(json.loads, lines)) if json.loads(first) == signature else None
    except (OSError, ValueError, TypeError):
        return None


def header_of(shape: Sequence[int], dtype: np.dtype) -> bytes:
    """What an .npy file of an array begins with."""
    header = BytesIO()
    values = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(cast(IO[bytes], header), values)
    return header.getvalue()


def open_mapped(path: Path, about: About) -> Mapped:
    """The arrays in a file, to be read in any order."""
    rows, memory = map_file(path)
    if fcntl:
        memory.madvise(MADV_RANDOM)
    return Mapped(rows, memory, about)


def map_file(path: Path) -> tuple[Tensor, mmap]:
    """The array in a file, mapped to memory, and that memory.

    Read-only: a private mapping would be charged as memory, and refused for a file that is larger than that.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        array = np.load(path, mmap_mode="r")
        return torch.from_numpy(array), array.base


def stamp_of(path: Path) -> list[int]:
    """Size and time of a file."""
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def without(n: int, missing: Iterable[int]) -> Int64[Tensor, " n"]:
    """The numbers from 0 to n − 1, except for those that are missing."""
    return torch.ones(n, dtype=torch.bool).index_fill_(0, torch.tensor(list(missing)).long(), False).nonzero().flatten()


def checksum_of(rows: Tensor, missing: Iterable[int]) -> str:
    """The SHA-256 of all rows that have an array."""
    digest = hashlib.sha256()
    for readable in without(len(rows), missing).split(CHUNK):
        digest.update(rows[readable].numpy().data)
    return digest.hexdigest()


def check_room(folder: Path, n: int) -> None:
    """Refuse to write so many bytes where there is less room."""
    if (free := shutil.disk_usage(folder).free) < n:
        raise UserError(f"{folder} has {in_bytes(free)} left, and the images take {in_bytes(n)}. {ADVICE}")


def in_bytes(n: int) -> str:
    """A number of bytes in words."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"
