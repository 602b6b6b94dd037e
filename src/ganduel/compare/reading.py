"""Runs as they are on the disk: found, read and, where that cannot be done, set aside with the reason.

A comparison must come about whatever lies in a sweep's folder: runs that still train, that failed or were killed, rows
cut off in the middle, folders of something else. Nothing here raises for what it finds in a folder.
"""

import glob
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganduel.errors import UserError
from ganduel.tracking.files import (
    CONFIG,
    HISTOGRAMS,
    LOSS_FORM,
    METRICS,
    PROTOCOLS,
    SAMPLES,
    SUMMARY,
    read_config,
    rows,
)

UNFINISHED = "unfinished"  # there is no summary: the run is on its way, or was killed
NO_ROWS = "no rows yet"
SKIPPED = {"wandb", "checkpoints", SAMPLES}  # folders that hold no runs
BADLY = ("failed", "diverged")  # a run that ended so counts, though it has no rows
AXES = ("iteration", "images_seen", "seconds")


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        folder: where it is.
        config: its resolved config.
        status: finished, stopped, diverged, failed, or unfinished.
        reason: why it ended so; None where there is nothing to say.
        note: what is wrong with its files, though the rest can be used; None: nothing.
        curves: for each metric its values, one for each of `curves["iteration"]`; NaN where it was not logged.
        last: the value that each metric was last logged with, which may be NaN too.
        histograms: for each key counts (rows, bins); "iteration" says of which iterations the rows are.
        protocols: the last protocol of each metric of samples.
        pictures: the grids of samples, or what stands for them, by iteration.
        real: the grid of real samples.
        loss_form: G's term on a grid of logits.
    """

    folder: Path
    config: Mapping[str, Any]
    status: str = UNFINISHED
    reason: str | None = None
    note: str | None = None
    curves: Mapping[str, np.ndarray] = field(default_factory=dict)
    last: Mapping[str, float] = field(default_factory=dict)
    histograms: Mapping[str, np.ndarray] = field(default_factory=dict)
    protocols: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pictures: Mapping[int, Path] = field(default_factory=dict)
    real: Path | None = None
    loss_form: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def iteration(self) -> int:
        """The last iteration on record."""
        return int(self.curves["iteration"][-1]) if len(self.curves.get("iteration", ())) else 0

    @property
    def seconds(self) -> float:
        """Of training."""
        values = self.curves.get("seconds", np.array([]))
        return float(values[np.isfinite(values)].max(initial=0.0))

    def final(self, metric: str) -> float:
        """The last value of a metric; NaN if there is none."""
        return self.last.get(metric, math.nan)


@dataclass(frozen=True)
class Aside:
    """A folder that is not part of the comparison, and why."""

    folder: Path
    reason: str


def read_all(words: Sequence[str | Path]) -> tuple[list[Run], list[Aside]]:
    """The runs in folders, of sweeps or of runs, and what was set aside on the way.

    Args:
        words: paths, or patterns such as runs/*/*ring8*.
    """
    found: list[Run] = []
    aside: list[Aside] = []
    for folder in candidates(words):
        run = read(folder)
        (aside if isinstance(run, Aside) else found).append(run)  # type: ignore[arg-type]
    return found, aside


def candidates(words: Sequence[str | Path]) -> list[Path]:
    """The folders that the words name or hold, each once: runs, and what may have been meant for one.

    Raises:
        UserError: a word that matches nothing.
    """
    found: dict[Path, Path] = {}
    for word in words:
        paths = [Path(word)] if os.path.exists(word) else [Path(path) for path in sorted(glob.glob(str(word)))]
        if not paths:
            raise UserError(f"{word} is neither a folder nor a pattern that matches one.")
        for path in paths:
            for folder in inside(path):
                found.setdefault(Path(os.path.realpath(folder)), folder)
    return list(found.values())


def inside(path: Path, above: frozenset[str] = frozenset()) -> list[Path]:
    """The folder itself if it looks like a run; else those in it, at any depth, or itself as one that holds none.

    A link to a folder above is not followed.
    """
    try:
        if not path.is_dir() or any((path / name).exists() for name in (CONFIG, METRICS, SUMMARY)):
            return [path]
        above |= {os.path.realpath(path)}
        folders = sorted(f for f in path.iterdir() if f.is_dir() and os.path.realpath(f) not in above)
    except OSError:
        return [path]  # `read` says what is wrong
    named = [f for f in folders if f.name not in SKIPPED and not f.name.startswith(".")]
    found = [run for folder in named for run in inside(folder, above)]
    return found or [path]


def read(folder: Path) -> Run | Aside:
    """The run in a folder, or why there is none."""
    try:
        return understood(folder)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Aside(folder, f"cannot be read: {lines[0]}")


def understood(folder: Path) -> Run | Aside:
    """As `read`, but for what cannot be understood at all."""
    if not folder.is_dir():
        return Aside(folder, "not a folder")
    if not any(folder.iterdir()):
        return Aside(folder, "empty")
    summary, broken = read_json(folder / SUMMARY)
    reason = None if summary.get("reason") is None else str(summary["reason"])
    if not (folder / CONFIG).exists():
        return Aside(folder, f"never began: {reason}" if reason else f"no run: it has no {CONFIG}")
    config = read_config(folder)
    if not isinstance(config["run"], dict) or type(config.get("seed")) is not int:
        return Aside(folder, f"{CONFIG} is not that of a run of ganduel")
    curves, last = columns(rows(folder / METRICS))
    if not len(curves["iteration"]) and summary.get("status") not in BADLY:
        return Aside(folder, f"{summary.get('status')}: {reason or 'it has no rows'}" if summary else NO_ROWS)
    return Run(
        folder,
        config,
        status=str(summary.get("status", UNFINISHED)),
        reason=reason,
        note=broken or cut_off(folder / METRICS),
        curves=curves,
        last=last,
        histograms=read_histograms(folder / HISTOGRAMS),
        protocols={str(row["metric"]): row for row in rows(folder / PROTOCOLS) if "metric" in row},
        pictures=dict(sorted(grids(folder).items())),
        real=real if (real := folder / SAMPLES / "real.png").is_file() else None,
        loss_form=read_loss_form(folder / LOSS_FORM),
    )


def read_json(path: Path) -> tuple[dict[str, Any], str | None]:
    """The object in a file, and what is wrong with it if it is there and holds none."""
    if not path.exists():
        return {}, None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        return {}, f"{path.name} cannot be read: {error}"
    return (values, None) if isinstance(values, dict) else ({}, f"{path.name} holds no object")


def cut_off(path: Path) -> str | None:
    """A word on a file whose last row a kill cut off."""
    if not path.exists() or not path.stat().st_size:
        return None
    with path.open("rb") as file:
        file.seek(-1, 2)
        return None if file.read() == b"\n" else f"the last row of {path.name} is cut off"


def grids(folder: Path) -> dict[int, Path]:
    """The grids of samples; of a world of known density, which has none, the pictures of samples over D."""
    for name in ("iteration", "theory"):
        found = {path: re.fullmatch(rf"{name}_([0-9]+)\.png", path.name) for path in (folder / SAMPLES).glob("*.png")}
        own = {int(match[1]): path for path, match in found.items() if match and path.is_file()}
        if own:
            return own
    return {}


def columns(found: Sequence[Mapping[str, Any]]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Rows as columns over the iterations, and the last value of each; rows of the same iteration are one."""
    found = sorted((row for row in found if is_iteration(row.get("iteration"))), key=lambda row: row["iteration"])
    iterations, place = np.unique([float(row["iteration"]) for row in found], return_inverse=True)
    made: dict[str, np.ndarray] = {"iteration": iterations}
    last: dict[str, float] = {}
    for key, (at, values) in cells(found).items():
        column = made.setdefault(key, np.full(len(iterations), np.nan))
        column[place[at]] = values  # of rows of the same iteration the later counts
        last[key] = float(values[-1])
    return made, last


def cells(found: Sequence[Mapping[str, Any]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each key the rows that have a number there, in order, and the numbers; rows of equal keys at once."""
    alike: dict[tuple[str, ...], list[int]] = {}
    for n, row in enumerate(found):
        alike.setdefault(tuple(row), []).append(n)
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for keys, at in alike.items():
        values, known = numbers([list(found[n].values()) for n in at])
        for key, column, there in zip(keys, values.T, known.T, strict=True):
            if there.any():
                parts.setdefault(key, []).append((np.array(at)[there], column[there]))
    made = {}
    for key, some in parts.items():
        at, values = (np.concatenate(arrays) for arrays in zip(*some, strict=True))
        order = np.argsort(at, kind="stable")
        made[key] = (at[order], values[order])
    return made


def numbers(found: Sequence[Sequence[Any]]) -> tuple[np.ndarray, np.ndarray]:
    """The values of rows as floats, and which of them are numbers at all."""
    if {kind for row in found for kind in map(type, row)} <= {int, float}:
        with suppress(OverflowError):
            values = np.array(found, dtype=np.float64)
            return values, np.ones(values.shape, dtype=bool)
    known = np.array([[is_number(value) for value in row] for row in found])
    return np.array([[float(x) if is_number(x) else np.nan for x in row] for row in found]), known


def is_number(value: Any) -> bool:
    """Of what JSON holds; True is none, nor is a whole number beyond all floats."""
    return value.__class__ is float or (value.__class__ is int and abs(value) < 2**1000)


def is_iteration(value: Any) -> bool:
    return is_number(value) and 0 <= value < 2**53


def read_histograms(path: Path) -> dict[str, np.ndarray]:
    """Counts as arrays (rows, bins) in order; of a key only where its number of bins stays the same."""
    by_iteration = {row["iteration"]: row for row in rows(path) if is_iteration(row.get("iteration"))}
    found = [by_iteration[iteration] for iteration in sorted(by_iteration)]
    if not found:
        return {}
    made = {"iteration": np.array([row["iteration"] for row in found], dtype=np.int64)}
    for key in found[0].keys() - {"iteration"}:
        counts = table([row.get(key) for row in found])
        if counts is not None and counts.dtype.kind == "i":
            made[key] = counts.astype(np.min_scalar_type(int(counts.max()))) if counts.min() >= 0 else counts
    return made


def read_loss_form(path: Path) -> dict[str, Any] | None:
    """G's term, if the file has all of it."""
    form, _ = read_json(path)
    curves = table([form.get(key) for key in ("logit", "g", "g_slope")])
    return form if curves is not None and "name" in form else None


def table(lists: Sequence[Any]) -> np.ndarray | None:
    """Lists of numbers, equally long, as an array; None if they are not that."""
    try:
        made = np.array(lists)
    except ValueError:
        return None
    return made if made.ndim == 2 and made.size and made.dtype.kind in "if" else None
