"""Curves of runs and their averages over runs, as short lists for the page.

Curves are downsampled by taking every n-th row, never by averaging: every value shown was measured.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ganduel.compare.interval import UNBOUNDED, Bounds, mean_interval
from ganduel.compare.reading import AXES, Run

MIN_RUNS = 3  # for an interval at a point of a curve: with two runs it would dwarf the curves


def subsample(values: np.ndarray, size: int) -> np.ndarray:
    """At most `size` of the values, evenly spaced, including the first and the last."""
    if len(values) <= size:
        return values
    return values[np.linspace(0, len(values) - 1, size).round().astype(int)]


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


def axis_values(axis: str, values: np.ndarray) -> list[Any]:
    """Values of an x axis; iterations and images, which are counts, are not rounded."""
    if axis == "seconds":
        return rounded(values)
    return [round(x) if math.isfinite(x) else None for x in values.tolist()]


def logged(runs: Sequence[Run], key: str) -> np.ndarray:
    """The iterations at which any of the runs has a value."""
    iterations = [run.curves["iteration"][np.isfinite(run.curves[key])] for run in runs if key in run.curves]
    return np.unique(np.concatenate(iterations))


def at(run: Run, key: str, iterations: np.ndarray) -> np.ndarray:
    """The run's values at iterations; NaN where it has none."""
    values = np.full(len(iterations), np.nan)
    logged_at = run.curves["iteration"]
    if key in run.curves and len(logged_at):
        rows = np.searchsorted(logged_at, iterations).clip(max=len(logged_at) - 1)
        match = logged_at[rows] == iterations
        values[match] = run.curves[key][rows[match]]
    return values


def band(rows: Sequence[np.ndarray], bounds: Bounds = UNBOUNDED) -> dict[str, Any]:
    """Mean, its interval, median and quartiles over runs at each point with a value; "at" holds the points' indices."""
    values = np.stack(rows)
    points = np.flatnonzero(np.isfinite(values).any(0))
    values = np.where(np.isfinite(values[:, points]), values[:, points], np.nan)
    enough = np.isfinite(values).sum(0) >= MIN_RUNS
    low, high = (np.where(enough, limit, np.nan) for limit in mean_interval(values, bounds=bounds))
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
