"""The page's data as plain values, downsampled so that the page stays small.

Curves are downsampled by taking every n-th row, never by averaging: every value shown was measured. Pictures are
embedded up to a total size; beyond it some iterations are left out, then some seeds.
"""

import base64
import math
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ganduel.compare.analysis import Cell, Report
from ganduel.compare.failure import failure
from ganduel.compare.interval import mean_interval
from ganduel.compare.pairing import choices, short, varying_groups
from ganduel.compare.reading import AXES, Run, SkippedFolder
from ganduel.compare.table import as_json

POINTS = 300  # per curve, at most
NUMBERS = 700_000  # in the curves of all single runs, about 5 MB
PICTURES = 5_000_000  # bytes of all pictures
FRAMES = 60  # per histogram, at most
MIN_RUNS = 3  # for an interval at a point of a curve: with two runs it would dwarf the curves


def bundle(report: Report, skipped: Sequence[SkippedFolder], page: Path) -> dict[str, Any]:
    """The page's data.

    Args:
        report: the comparison.
        skipped: folders that were left out of it.
        page: the page's path, which links are relative to.
    """
    cell_of = {run.folder: cell for cell in report.cells for run in cell.runs.values()}
    runs = [run for cell in report.cells for run in cell.runs.values()]
    keys = sorted({key for run in runs for key in run.curves} - set(AXES))
    points = int(np.clip(NUMBERS / max(1, len(runs) * len(keys)), 40, POINTS))
    images, gallery = pictures(runs)
    differing = config_diffs(runs, [report.design.flat_configs[run.folder] for run in runs])
    return {
        "title": title(report),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("ganduel"),
        **as_json(report, skipped),
        "floors": {metric: floor(runs, metric) for metric in report.metrics},
        "groups": [group(cell) for cell in report.cells],
        "runs": [
            {
                "name": run.name,
                "href": link(run.folder, page),
                "group": report.cells.index(cell_of[run.folder]),
                "stratum": cell_of[run.folder].stratum,
                "level": cell_of[run.folder].level,
                "seed": run.config["seed"],
                "status": run.status,
                "reason": run.reason,
                "note": run.note,
                "failure": failure(run),
                "iteration": run.iteration,
                "seconds": significant(run.seconds),
                "finals": {metric: significant(run.final(metric)) for metric in report.metrics},
                "differing": differing[n],
                "curves": downsample(run, keys, points),
                "pictures": gallery[n],
            }
            for n, run in enumerate(runs)
        ],
        "images": images,
        "loss_forms": [
            {"name": name, **{key: rounded(values) for key, values in form.items()}}
            for name, form in loss_forms(runs).items()
        ],
    }


def title(report: Report) -> str:
    design = report.design
    return f"{design.factor}: {' against '.join(design.levels)}, {len(design.cells)} run{'s' * (len(design.cells) > 1)}"


def link(folder: Path, page: Path) -> str:
    """A relative link from the page to the folder, so that both can be moved together."""
    path = os.path.relpath(folder.resolve(), page.resolve().parent)
    return "./" + quote(os.fsencode(Path(path).as_posix())) + "/"


def floor(runs: Sequence[Run], metric: str) -> float | None:
    """The metric of real samples, averaged over the runs."""
    values = [value for run in runs if np.isfinite(value := run.final(f"{metric}/floor"))]
    return significant(float(np.mean(values))) if values else None


def group(cell: Cell) -> dict[str, Any]:
    """A level's curves, averaged over its runs at each iteration, and its histograms."""
    runs = list(cell.runs.values())
    keys = sorted({key for run in runs for key in run.curves} - set(AXES))
    rare = [logged_at for key in keys if len(logged_at := logged(runs, key)) <= POINTS]
    iterations = np.unique(np.concatenate([subsample(logged(runs, "iteration"), POINTS), *rare]))
    x = {axis: mean_of([at(run, axis, iterations) for run in runs]) for axis in AXES}
    return {
        "stratum": cell.stratum,
        "level": cell.level,
        "x": {axis: axis_values(axis, values) for axis, values in x.items()},
        "curves": {key: band([at(run, key, iterations) for run in runs]) for key in keys},
        "histograms": histograms(runs),
    }


def logged(runs: Sequence[Run], key: str) -> np.ndarray:
    """The iterations at which any of the runs has a value."""
    iterations = [run.curves["iteration"][np.isfinite(run.curves[key])] for run in runs if key in run.curves]
    return np.unique(np.concatenate(iterations))


def axis_values(axis: str, values: np.ndarray) -> list[Any]:
    """Values of an x axis; iterations and images, which are counts, are not rounded."""
    if axis == "seconds":
        return rounded(values)
    return [round(x) if math.isfinite(x) else None for x in values.tolist()]


def subsample(values: np.ndarray, size: int) -> np.ndarray:
    """At most `size` of the values, evenly spaced, including the first and the last."""
    if len(values) <= size:
        return values
    return values[np.linspace(0, len(values) - 1, size).round().astype(int)]


def at(run: Run, key: str, iterations: np.ndarray) -> np.ndarray:
    """The run's values at iterations; NaN where it has none."""
    values = np.full(len(iterations), np.nan)
    logged_at = run.curves["iteration"]
    if key in run.curves and len(logged_at):
        rows = np.searchsorted(logged_at, iterations).clip(max=len(logged_at) - 1)
        match = logged_at[rows] == iterations
        values[match] = run.curves[key][rows[match]]
    return values


def band(rows: Sequence[np.ndarray]) -> dict[str, Any]:
    """Mean, its interval, median and quartiles over runs at each point with a value; "at" holds the points' indices."""
    values = np.stack(rows)
    points = np.flatnonzero(np.isfinite(values).any(0))
    values = np.where(np.isfinite(values[:, points]), values[:, points], np.nan)
    enough = np.isfinite(values).sum(0) >= MIN_RUNS
    low, high = (np.where(enough, limit, np.nan) for limit in mean_interval(values))
    quantile = np.quantile if np.isfinite(values).all() else np.nanquantile  # the latter goes column by column
    q25, median, q75 = quantile(values, [0.25, 0.5, 0.75], axis=0) if len(points) else np.empty((3, 0))
    curves = {"mean": mean_of(values), "low": low, "high": high, "q25": q25, "median": median, "q75": q75}
    return {"at": points.tolist(), **{name: rounded(curve) for name, curve in curves.items()}}


def mean_of(rows: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """The mean over the rows at each point, ignoring NaN and infinity."""
    values = np.asarray(rows)
    mask = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mask, values, 0).sum(0) / mask.sum(0)


def rounded(values: np.ndarray) -> list[float | None]:
    """The values with four significant digits; null for NaN and infinity."""
    values = np.asarray(values, dtype=float)
    mask = np.isfinite(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = np.where(mask & (values != 0), 3 - np.floor(np.log10(np.abs(values))), 0).clip(-300, 300)
    scale = 10.0 ** digits.clip(-300, 300)
    result = np.where(mask, np.round(np.where(mask, values, 0) * scale) / scale, 0)
    return [value if ok else None for value, ok in zip(result.tolist(), mask.tolist(), strict=True)]


def significant(x: float) -> float | None:
    return rounded(np.array([x]))[0]


def downsample(run: Run, keys: Sequence[str], points: int) -> dict[str, Any]:
    """The run's curves and axes at evenly spaced rows; a rarely logged metric keeps all of its rows, {at, y}."""
    rows = subsample(np.arange(len(run.curves["iteration"])), points)
    curves: dict[str, Any] = {axis: axis_values(axis, run.curves[axis][rows]) for axis in AXES if axis in run.curves}
    for key in keys:
        if key not in run.curves:
            continue
        known = subsample(np.flatnonzero(np.isfinite(run.curves[key])), points)
        if len(known) < len(rows) / 2 or not np.isin(known, rows).all():
            iterations = axis_values("iteration", run.curves["iteration"][known])
            curves[key] = {"at": iterations, "y": rounded(run.curves[key][known])}
        else:
            curves[key] = rounded(run.curves[key][rows])
    return curves


def histograms(runs: Sequence[Run]) -> dict[str, Any]:
    """The summed counts of all runs of a level, as proportions; a key that no run has is left out."""
    runs = [run for run in runs if "iteration" in run.histograms]
    if not runs:
        return {}
    iterations = histogram_frames(np.unique(np.concatenate([run.histograms["iteration"] for run in runs])))
    proportions: dict[str, Any] = {"iteration": iterations.tolist()}
    for key in ("d/real", "d/fake", "logit/fake"):
        bins = {run.histograms[key].shape[1] for run in runs if key in run.histograms}
        if len(bins) != 1:
            continue
        total = np.zeros((len(iterations), bins.pop()))
        for run in runs:
            if key in run.histograms:
                logged_at, counts = run.histograms["iteration"], run.histograms[key]
                latest = np.searchsorted(logged_at, iterations, side="right") - 1  # the newest row by then
                total += np.where((latest >= 0)[:, None], counts[latest.clip(min=0)], 0)
        proportions[key] = [rounded(row) for row in total / np.maximum(total.sum(1, keepdims=True), 1)]
    return proportions


def histogram_frames(iterations: np.ndarray) -> np.ndarray:
    """At most FRAMES of the iterations, half evenly spaced and half on a logarithmic scale, since G changes early."""
    n = len(iterations)
    if n <= FRAMES:
        return iterations
    linear, logarithmic = np.linspace(1, n, FRAMES // 2), np.geomspace(1, n, FRAMES // 2)
    return iterations[np.unique(np.concatenate([linear, logarithmic]).round().astype(int)) - 1]


def pictures(runs: Sequence[Run]) -> tuple[list[str], list[dict[str, Any]]]:
    """The pictures within the size limit as data URIs, and per run the indices of its own: real, and by iteration."""
    files = [path for run in runs for path in (*run.pictures.values(), run.real) if path is not None and path.is_file()]
    sizes = {path: path.stat().st_size for path in files}
    iterations = sorted({iteration for run in runs for iteration in run.pictures})
    shown = list(runs)
    while shown and total(shown, iterations, sizes) > PICTURES:
        seeds = sorted({run.config["seed"] for run in shown})
        if len(iterations) > 8:
            iterations = subsample(np.array(iterations), max(8, len(iterations) * 3 // 4)).tolist()
        elif len(seeds) > 1:
            shown = [run for run in shown if run.config["seed"] in seeds[: -(-len(seeds) // 2)]]
        elif len(iterations) > 2:
            iterations = subsample(np.array(iterations), max(2, len(iterations) // 2)).tolist()
        else:
            shown = shown[: len(shown) // 2]
    images: list[str] = []
    index_of: dict[bytes, int] = {}

    def embed(path: Path) -> int:
        data = path.read_bytes()
        if data not in index_of:
            index_of[data] = len(images)
            images.append("data:image/png;base64," + base64.b64encode(data).decode())
        return index_of[data]

    folders, selected = {run.folder for run in shown}, set(iterations)
    gallery: list[dict[str, Any]] = []
    for run in runs:
        grids = {
            n: path for n, path in run.pictures.items() if run.folder in folders and n in selected and path in sizes
        }
        real = embed(run.real) if grids and run.real in sizes else None
        gallery.append({"real": real, "grids": [[n, embed(path)] for n, path in grids.items()]})
    return images, gallery


def total(runs: Sequence[Run], iterations: Sequence[int], sizes: Mapping[Path, int]) -> int:
    """The bytes of these runs' pictures of these iterations and of their real samples."""
    files = [path for run in runs for path in (run.real, *(run.pictures.get(n) for n in iterations))]
    return sum(sizes.get(path, 0) for path in files if path is not None)


def config_diffs(runs: Sequence[Run], flat_configs: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Each run's values of the config keys that differ among the runs, without the seed."""
    varying = {key for keys in varying_groups(runs, flat_configs).values() for key in keys}
    return [
        {key.removesuffix("._target_"): short(config.get(key)) for key in sorted(varying)} for config in flat_configs
    ]


def loss_forms(runs: Sequence[Run]) -> dict[str, dict[str, np.ndarray]]:
    """The curves of the runs' loss forms, named by the config's choice, or by the form itself where there is none."""
    forms: dict[str, dict[str, np.ndarray]] = {}
    for run in runs:
        if run.loss_form is not None:
            name = str(choices(run).get("loss") or run.loss_form["name"])
            forms.setdefault(name, {key: np.array(run.loss_form[key], float) for key in ("logit", "g", "g_slope")})
    return forms
