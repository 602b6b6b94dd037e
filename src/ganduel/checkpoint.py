"""Checkpoints: written atomically, read with `weights_only=True`, and self-describing.

Lightning's checkpoint plus one entry, all of it plain containers and tensors:

    ganduel: {format: 2, config: the resolved config of the run, shape: that of one sample,
              classes: the number of classes of the data, or None; absent in format 1}

User callbacks, optimizers and schedules add state of their own: a file is read back before it replaces an older one, so
that a run whose state cannot be read ends at its first checkpoint and not when it is resumed.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.serialization import get_unsafe_globals_in_checkpoint

from ganduel.atomic import atomic_write
from ganduel.errors import UserError

FORMAT = 2
INITIAL = "iteration_00000000.ckpt"
LAST = "last.ckpt"
BEST = "best.ckpt"


def write(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint and read it back; only then does it take its name.

    Raises:
        UserError: it has an entry that cannot be saved, or that `weights_only=True` does not read.
    """
    with atomic_write(path) as part:
        try:
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            torch.load(part, map_location="cpu", mmap=True, weights_only=True)  # without the tensors' bytes
        except Exception as error:  # of any type: whatever a user's object raises when it is pickled
            entry = first_unreadable(checkpoint)
            if entry is None:
                raise
            raise UserError(
                f"{entry}, with which a checkpoint cannot be read again. Save it as a tensor, a number, text, or a "
                "list or dict of these: float(x), x.tolist(), str(path)."
            ) from error


def first_unreadable(value: Any, name: str = "") -> str | None:
    """The first entry of a checkpoint that cannot be read again, by its keys and its type; None: all can."""
    if type(value) in (Tensor, nn.Parameter):
        return None
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        if (entry := first_unreadable(item, f"{name}[{key!r}]" if name else str(key))) is not None:
            return entry
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return None if reads_back(value) else f"{name or 'the checkpoint'} is {kind.removeprefix('builtins.')}"


def reads_back(value: Any) -> bool:
    """Whether a file with this value can be written and read."""
    try:
        torch.save(value, file := BytesIO())
        file.seek(0)
        torch.load(file, map_location="cpu", weights_only=True)
    except Exception:
        return False
    return True


def read(path: Path) -> dict[str, Any]:
    """The checkpoint in a file, on the CPU; refused if it is not ganduel's, or of a later format."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"there is no checkpoint {path}.") from error
    except Exception as error:  # of any type: a damaged file may fail anywhere in the unpickler
        raise UserError(f"{path} is not a readable checkpoint: {cause(path, error)} {alternative(path)}") from error
    entry = checkpoint.get("ganduel") if isinstance(checkpoint, Mapping) else None
    if not isinstance(entry, Mapping) or "format" not in entry:
        raise UserError(f"{path} is a file of torch, but no checkpoint of ganduel.")
    if entry["format"] > FORMAT:
        raise UserError(
            f"{path} has format {entry['format']}, and this version of ganduel reads up to {FORMAT}. Upgrade ganduel."
        )
    return dict(checkpoint)


def cause(path: Path, error: Exception) -> str:
    """Why a file cannot be read, in one line of printable characters."""
    with suppress(Exception):  # it may be damaged, too
        if names := get_unsafe_globals_in_checkpoint(path):
            return f"it has objects of Python ({printable(', '.join(sorted(names)))}), which are not loaded."
    if isinstance(error, IsADirectoryError | PermissionError):
        return f"{error.strerror}."
    lines = str(error).rpartition("WeightsUnpickler error:")[2].strip().splitlines() or [type(error).__name__]
    return f"{printable(lines[0])}. Is it cut off?"


def printable(text: str) -> str:
    """The text without the terminal's escape sequences, and not too long."""
    return "".join(filter(str.isprintable, re.sub(r"\x1b\[[\d;]*m", "", text)))[:160].rstrip(".")


def alternative(path: Path) -> str:
    """What to do without a checkpoint that cannot be read."""
    others = by_iteration(path.parent) if path.name == LAST else {}
    if not others:
        return "Try another."
    return f"Remove it to go on from {others[max(others)].name}, at iteration {max(others)}."


def has_checkpoint(run: Path) -> bool:
    """Whether the run has a checkpoint to resume from."""
    return any((run / "checkpoints").glob("[!.]*.ckpt"))


def latest(run: Path) -> Path:
    """The checkpoint of a run to resume from: last.ckpt, or else that of the highest iteration."""
    folder = run / "checkpoints"
    if (folder / LAST).exists():
        return folder / LAST
    if others := by_iteration(folder):
        return others[max(others)]
    if has_checkpoint(run):
        return next(folder.glob("[!.]*.ckpt"))  # `read` says what is wrong with it
    runs = sorted(path.parent for path in run.glob("*/config.yaml"))
    hint = f"It holds runs: give one, such as {runs[0]}." if runs else "Give the folder of a run that has begun."
    raise UserError(f"{run} has no checkpoint (looked for {folder / LAST}). {hint}")


def by_iteration(folder: Path) -> dict[int, Path]:
    """The checkpoints besides last.ckpt that can be read, by their iterations."""
    checkpoints = dict[int, Path]()
    for path in [folder / BEST, *folder.glob("iteration_*.ckpt")]:
        with suppress(UserError):
            checkpoints[read(path)["global_step"]] = path
    return checkpoints
