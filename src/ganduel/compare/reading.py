"""Finds and parses run folders; a folder that cannot be parsed is skipped, with the reason.

A comparison must work whatever a sweep's folder contains: runs that still train, that failed or were killed, truncated
rows, unrelated folders, and files that someone put there to be read. Nothing here raises because of a folder's content.
"""

import glob
import json
import math
import os
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganduel.compare.columns import is_iteration, to_columns
from ganduel.errors import UserError
from ganduel.tracking.files import (
    CONFIG,
    HISTOGRAMS,
    LOSS_FORM,
    METRICS,
    PROTOCOLS,
    SAMPLES,
    SUMMARY,
    damage,
    read_config,
    read_text,
    rows,
    unreadable_reason,
)
from ganduel.tracking.secrets import without_secrets

UNFINISHED = "unfinished"  # there is no summary: the run is in progress, or was killed
NO_ROWS = "no rows yet"
SKIPPED = {"wandb", "checkpoints", SAMPLES}  # folders that contain no runs
DEPTH = 12  # of folders in folders that are searched for runs
MAX_PIXELS = 2**27  # of a picture
FAILED_STATUSES = ("failed", "diverged")  # such a run counts even without rows
AXES = ("iteration", "images_seen", "seconds")


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        folder: its path.
        config: the resolved config, without secrets.
        status: finished, stopped, diverged, failed, or unfinished.
        reason: why it ended with this status; None if no reason was given.
        note: a defect of its files that leaves the rest usable; None if there is none.
        curves: per metric its values at `curves["iteration"]`; NaN where it was not logged.
        last: per metric the value logged last, which may be NaN.
        histograms: per key counts (rows, bins); "iteration" holds the rows' iterations.
        protocols: the last protocol of each sample metric.
        pictures: sample grids (or the plots that replace them) by iteration.
        stills: pictures by name: "real", samples of the data, and "memorisation", G's beside the nearest of them.
        loss_form: G's loss term on a grid of logits.
        device: the device type that it trained on, such as cpu or cuda; None if unknown.
        ranks: the number of ranks, if the result depends on it; None if it does not, or if that is unknown.
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
    stills: Mapping[str, Path] = field(default_factory=dict)
    loss_form: Mapping[str, Any] | None = None
    device: str | None = None
    ranks: int | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def iteration(self) -> int:
        """The last logged iteration."""
        return int(self.curves["iteration"][-1]) if len(self.curves.get("iteration", ())) else 0

    @property
    def seconds(self) -> float:
        """Training time so far."""
        values = self.curves.get("seconds", np.array([]))
        return float(values[np.isfinite(values)].max(initial=0.0))

    def final(self, metric: str) -> float:
        """The last value of a metric; NaN if it was never logged."""
        return self.last.get(metric, math.nan)


@dataclass(frozen=True)
class SkippedFolder:
    """A folder that is not part of the comparison, and why."""

    folder: Path
    reason: str


def read_all(patterns: Sequence[str | Path]) -> tuple[list[Run], list[SkippedFolder]]:
    """The runs in folders of runs or sweeps, and the folders that were skipped.

    Args:
        patterns: paths, or glob patterns such as runs/*/*ring8*.
    """
    runs: list[Run] = []
    skipped: list[SkippedFolder] = []
    for folder in expand_paths(patterns):
        result = read(folder)
        if isinstance(result, SkippedFolder):
            skipped.append(result)
        else:
            runs.append(result)
    return runs, skipped


def expand_paths(patterns: Sequence[str | Path]) -> list[Path]:
    """The run folders that the patterns match or contain, each once; folders without a run are listed too.

    Raises:
        UserError: a pattern matches nothing.
    """
    folders: dict[Path, Path] = {}
    for pattern in patterns:
        paths = [Path(pattern)] if os.path.exists(pattern) else [Path(path) for path in sorted(glob.glob(str(pattern)))]
        if not paths:
            raise UserError(f"{pattern} is neither a folder nor a pattern that matches one.")
        for path in paths:
            for folder in find_runs(path):
                folders.setdefault(Path(os.path.realpath(folder)), folder)
    return list(folders.values())


def find_runs(path: Path, parents: frozenset[str] = frozenset()) -> list[Path]:
    """The folder itself if it looks like a run; else the runs in it, or itself if it contains none.

    A link in a folder may be that of a run, but it is not searched: it may lead anywhere. One to a parent is no run.
    """
    try:
        if not path.is_dir() or any((path / name).exists() for name in (CONFIG, METRICS, SUMMARY)):
            return [path]
        if (parents and path.is_symlink()) or len(parents) == DEPTH:
            return [path]
        parents |= {os.path.realpath(path)}
        folders = sorted(f for f in path.iterdir() if f.is_dir() and os.path.realpath(f) not in parents)
    except OSError:
        return [path]  # `read` reports the error
    searched = [f for f in folders if f.name not in SKIPPED and not f.name.startswith(".")]
    runs = [run for folder in searched for run in find_runs(folder, parents)]
    return runs or [path]


def read(folder: Path) -> Run | SkippedFolder:
    """The run in a folder, or why there is none."""
    try:
        return parse_run(folder)
    except UserError as error:
        return SkippedFolder(folder, str(error))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return SkippedFolder(folder, f"cannot be read: {lines[0]}")


def parse_run(folder: Path) -> Run | SkippedFolder:
    """As `read`, but raises where a file cannot be parsed."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return SkippedFolder(folder, "empty" if folder.is_dir() else "not a folder")
    summary, broken = read_json(folder / SUMMARY)
    reason = None if summary.get("reason") is None else without_secrets(str(summary["reason"]))
    if not (folder / CONFIG).exists():
        return SkippedFolder(folder, f"never began: {reason}" if reason else f"no run: it has no {CONFIG}")
    if summary.get("status") == "pruned":
        return SkippedFolder(folder, f"pruned by a search: {reason} at iteration {summary.get('iteration')}")
    config = without_secrets(read_config(folder))
    if not isinstance(config["run"], dict) or type(config.get("seed")) is not int:
        return SkippedFolder(folder, f"{CONFIG} is not that of a run of ganduel")
    metric_rows = rows(folder / METRICS)
    curves, last = to_columns(metric_rows)
    pictures, stills, unusable = read_pictures(folder)
    if not len(curves["iteration"]) and summary.get("status") not in FAILED_STATUSES:
        return SkippedFolder(folder, f"{summary.get('status')}: {reason or 'it has no rows'}" if summary else NO_ROWS)
    return Run(
        folder,
        config,
        status=str(summary.get("status", UNFINISHED)),
        reason=reason,
        note=broken or damage(folder / METRICS, len(metric_rows)) or unusable,
        curves=curves,
        last=last,
        histograms=read_histograms(folder / HISTOGRAMS),
        protocols={str(row["metric"]): row for row in rows(folder / PROTOCOLS) if "metric" in row},
        pictures=pictures,
        stills=stills,
        loss_form=read_loss_form(folder / LOSS_FORM),
        device=device_type(summary, config),
        ranks=ranks if summary.get("depends_on_ranks") is True and type(ranks := summary.get("ranks")) is int else None,
    )


def read_json(path: Path) -> tuple[dict[str, Any], str | None]:
    """The object in a JSON file, and an error message if the file exists and contains none."""
    if not path.exists():
        return {}, None
    try:
        values = json.loads(read_text(path))
    except (ValueError, OSError) as error:
        return {}, f"{path.name} cannot be read: {error}"
    return (values, None) if isinstance(values, dict) else ({}, f"{path.name} holds no object")


def device_type(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    """The device type in a summary; older ones have none, but list the memory of a GPU.

    A run without a summary, in progress or killed, trains on what its config asks for, on the machine on record there.
    """
    if isinstance(device := summary.get("device"), str):
        return device.partition(":")[0] or None
    memory = summary.get("peak_memory")
    if isinstance(memory, Mapping) and "gpu" in memory:
        return "cuda"
    trainer, machine = config.get("trainer"), config["run"].get("machine")
    if summary or not isinstance(trainer, Mapping) or not isinstance(machine, Mapping):
        return None
    asked = str(trainer.get("accelerator"))
    if asked != "auto":
        return {"gpu": "cuda"}.get(asked, asked)
    return "cuda" if machine.get("gpus") else None if "macOS" in str(machine.get("platform")) else "cpu"


def read_pictures(folder: Path) -> tuple[dict[int, Path], dict[str, Path], str | None]:
    """The sample grids by iteration, the other pictures by name, and a note if one of them cannot be shown.

    Data of known density have no grids, but plots of samples over D.
    """
    grids: dict[str, dict[int, Path]] = {"iteration": {}, "theory": {}}
    stills: dict[str, Path] = {}
    note = None
    for path in sorted((folder / SAMPLES).glob("*.png")):
        match = re.fullmatch(r"(iteration|theory)_([0-9]+)|real|memorisation", path.stem)
        if match and (reason := unusable_reason(path, folder)) is not None:
            note = note or f"{path.name} {reason}"
        elif match and match[1]:
            grids[match[1]][int(match[2])] = path
        elif match:
            stills[path.stem] = path
    return dict(sorted((grids["iteration"] or grids["theory"]).items())), stills, note


def unusable_reason(path: Path, folder: Path) -> str | None:
    """Why a picture is not put on a page, which is shown to others; None if it is a PNG of the folder."""
    if (reason := unreadable_reason(path, folder)) is not None:
        return reason
    with path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or not head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "is not a PNG"
    width, height = struct.unpack(">II", head[16:])
    return "has too many pixels" if width * height > MAX_PIXELS else None


def read_histograms(path: Path) -> dict[str, np.ndarray]:
    """Counts as arrays (rows, bins) in order; a key whose number of bins changes is left out."""
    by_iteration = {row["iteration"]: row for row in rows(path) if is_iteration(row.get("iteration"))}
    ordered = [by_iteration[iteration] for iteration in sorted(by_iteration)]
    if not ordered:
        return {}
    histograms = {"iteration": np.array([row["iteration"] for row in ordered], dtype=np.int64)}
    for key in ordered[0].keys() - {"iteration"}:
        counts = as_matrix([row.get(key) for row in ordered])
        if counts is not None and counts.dtype.kind == "i":
            histograms[key] = counts.astype(np.min_scalar_type(int(counts.max()))) if counts.min() >= 0 else counts
    return histograms


def read_loss_form(path: Path) -> dict[str, Any] | None:
    """G's loss term, if the file is complete."""
    form, _ = read_json(path)
    curves = as_matrix([form.get(key) for key in ("logit", "g", "g_slope")])
    return form if curves is not None and "name" in form else None


def as_matrix(lists: Sequence[Any]) -> np.ndarray | None:
    """Lists of numbers of one length as a matrix; None if they are anything else."""
    try:
        matrix = np.array(lists)
    except ValueError:
        return None
    return matrix if matrix.ndim == 2 and matrix.size and matrix.dtype.kind in "if" else None
