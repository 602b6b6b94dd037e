"""Runs as they are on the disk: found, read and, where that cannot be done, set aside with the reason.

A comparison must come about whatever lies in a sweep's folder: runs that still train, that failed or were killed, rows
cut off in the middle, folders of something else. Nothing here raises for what it finds in a folder.
"""

import glob
import json
from collections.abc import Iterable, Mapping, Sequence
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
SKIPPED = {"wandb", "checkpoints", SAMPLES}  # folders that hold no runs
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
        return float(np.nanmax(values)) if np.isfinite(values).any() else 0.0

    def final(self, metric: str) -> float:
        """The last value of a metric; NaN if there is none."""
        values = self.curves.get(metric, np.array([]))
        known = values[~np.isnan(values)]
        return float(known[-1]) if len(known) else float("nan")


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
    """The folders that the words name or hold, each once; those without any trace of a run only where nothing else is.

    Raises:
        UserError: a word that matches nothing.
    """
    found: dict[Path, Path] = {}
    for word in words:
        paths = [Path(word)] if Path(word).exists() else [Path(path) for path in sorted(glob.glob(str(word)))]
        if not paths:
            raise UserError(f"{word} is neither a folder nor a pattern that matches one.")
        for path in paths:
            for folder in inside(path):
                found.setdefault(folder.resolve(), folder)
    return list(found.values())


def inside(path: Path) -> list[Path]:
    """The folder itself if it looks like a run; else those in it, at any depth, or itself as one that holds none."""
    if not path.is_dir() or any((path / name).exists() for name in (CONFIG, METRICS, SUMMARY)):
        return [path]
    folders = sorted(f for f in path.iterdir() if f.is_dir() and f.name not in SKIPPED and not f.name.startswith("."))
    found = [run for folder in folders for run in inside(folder)]
    return found or [path]


def read(folder: Path) -> Run | Aside:
    """The run in a folder, or why there is none."""
    if not folder.is_dir():
        return Aside(folder, "not a folder")
    if not any(folder.iterdir()):
        return Aside(folder, "empty")
    try:
        summary, broken = read_json(folder / SUMMARY)
        if not (folder / CONFIG).exists():
            reason = summary.get("reason")
            return Aside(folder, f"never began: {reason}" if reason else f"no run: it has no {CONFIG}")
        config = read_config(folder)
        if not isinstance(config["run"], dict) or "seed" not in config:
            return Aside(folder, f"{CONFIG} is not that of a run of ganduel")
        curves = columns(rows(folder / METRICS))
        if not len(curves.get("iteration", ())):
            reason = summary.get("reason")
            return Aside(folder, f"{summary['status']}: {reason}" if reason else "no rows yet")
        loss_form, _ = read_json(folder / LOSS_FORM)
        return Run(
            folder,
            config,
            status=str(summary.get("status", UNFINISHED)),
            reason=summary.get("reason"),
            note=broken or cut_off(folder / METRICS),
            curves=curves,
            histograms=read_histograms(folder / HISTOGRAMS),
            protocols={str(row["metric"]): row for row in rows(folder / PROTOCOLS) if "metric" in row},
            pictures={int(path.stem.rpartition("_")[2]): path for path in sorted(grids(folder))},
            real=real if (real := folder / SAMPLES / "real.png").is_file() else None,
            loss_form=loss_form or None,
        )
    except (UserError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return Aside(
            folder, f"cannot be read: {str(error).strip().splitlines()[0] if str(error) else type(error).__name__}"
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
    with path.open("rb") as file:
        file.seek(-1, 2)
        return None if file.read() == b"\n" else f"the last row of {path.name} is cut off"


def grids(folder: Path) -> Iterable[Path]:
    """The grids of samples; of a world of known density, which has none, the pictures of samples over D."""
    own = list((folder / SAMPLES).glob("iteration_[0-9]*.png"))
    return own or (folder / SAMPLES).glob("theory_[0-9]*.png")


def columns(found: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Rows as columns over the iterations; rows of the same iteration are one."""
    iterations = sorted({row["iteration"] for row in found if is_number(row.get("iteration"))})
    place = {iteration: n for n, iteration in enumerate(iterations)}
    made = {"iteration": np.array(iterations, dtype=np.float64)}
    for row in found:
        if (n := place.get(row.get("iteration"))) is None:  # type: ignore[arg-type]
            continue
        for key, value in row.items():
            if key not in made:
                made[key] = np.full(len(iterations), np.nan)
            if value.__class__ is float or is_number(value):
                made[key][n] = value
    return made


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_histograms(path: Path) -> dict[str, np.ndarray]:
    """Counts as arrays (rows, bins); of a key only where its number of bins stays the same."""
    found = [row for row in rows(path) if is_number(row.get("iteration"))]
    if not found:
        return {}
    made = {"iteration": np.array([row["iteration"] for row in found], dtype=np.int64)}
    for key in found[0].keys() - {"iteration"}:
        counts = [row.get(key) for row in found]
        if all(isinstance(n, list) and len(n) == len(counts[0]) for n in counts):  # type: ignore[arg-type]
            made[key] = np.array(counts, dtype=np.int64)
    return made
