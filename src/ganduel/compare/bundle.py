"""Everything that the page shows, as plain values, thinned out so that the page stays small.

Curves are thinned by taking every n-th row, never by averaging: what is shown was measured. Pictures are embedded up to
a total size; beyond it some iterations are left out, then some seeds.
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
from ganduel.compare.pairing import choices, short, varying
from ganduel.compare.reading import AXES, Aside, Run
from ganduel.compare.table import as_json

POINTS = 300  # of a curve, at most
NUMBERS = 700_000  # in the curves of single runs together, about 5 MB
PICTURES = 5_000_000  # bytes of all pictures together
FRAMES = 60  # of the histograms
FEW = 3  # runs that an interval at a point of a curve takes: of two it would dwarf the curves


def bundle(report: Report, aside: Sequence[Aside], page: Path) -> dict[str, Any]:
    """The page's data.

    Args:
        report: the comparison.
        aside: what was left out of it.
        page: where the page will be, which links are relative to.
    """
    places = {run.folder: cell for cell in report.cells for run in cell.runs.values()}
    runs = [run for cell in report.cells for run in cell.runs.values()]
    keys = sorted({key for run in runs for key in run.curves} - set(AXES))
    points = int(np.clip(NUMBERS / max(1, len(runs) * len(keys)), 40, POINTS))
    images, gallery = pictures(runs)
    told = differing(runs, [report.design.flats[run.folder] for run in runs])
    return {
        "title": title(report),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("ganduel"),
        **as_json(report, aside),
        "floors": {metric: floor(runs, metric) for metric in report.metrics},
        "groups": [group(cell) for cell in report.cells],
        "runs": [
            {
                "name": run.name,
                "href": link(run.folder, page),
                "group": report.cells.index(places[run.folder]),
                "stratum": places[run.folder].stratum,
                "level": places[run.folder].level,
                "seed": run.config["seed"],
                "status": run.status,
                "reason": run.reason,
                "note": run.note,
                "failure": failure(run),
                "iteration": run.iteration,
                "seconds": significant(run.seconds),
                "finals": {metric: significant(run.final(metric)) for metric in report.metrics},
                "differing": told[n],
                "curves": thinned(run, keys, points),
                "pictures": gallery[n],
            }
            for n, run in enumerate(runs)
        ],
        "images": images,
        "loss_forms": [
            {"name": name, **{key: listed(values) for key, values in form.items()}}
            for name, form in loss_forms(runs).items()
        ],
    }


def title(report: Report) -> str:
    design = report.design
    return f"{design.factor}: {' against '.join(design.levels)}, {len(design.cells)} run{'s' * (len(design.cells) > 1)}"


def link(folder: Path, page: Path) -> str:
    """The folder as a link from the page; relative, so that both may move together."""
    path = os.path.relpath(folder.resolve(), page.resolve().parent)
    return "./" + quote(os.fsencode(Path(path).as_posix())) + "/"


def floor(runs: Sequence[Run], metric: str) -> float | None:
    """What real samples get, averaged over the runs."""
    values = [value for run in runs if np.isfinite(value := run.final(f"{metric}/floor"))]
    return significant(float(np.mean(values))) if values else None


def group(cell: Cell) -> dict[str, Any]:
    """A level's curves, averaged over its runs at each iteration, and its histograms."""
    runs = list(cell.runs.values())
    keys = sorted({key for run in runs for key in run.curves} - set(AXES))
    seldom = [own for key in keys if len(own := logged(runs, key)) <= POINTS]
    iterations = np.unique(np.concatenate([every(logged(runs, "iteration"), POINTS), *seldom]))
    x = {axis: mean_of([at(run, axis, iterations) for run in runs]) for axis in AXES}
    return {
        "stratum": cell.stratum,
        "level": cell.level,
        "x": {axis: places(axis, values) for axis, values in x.items()},
        "curves": {key: band([at(run, key, iterations) for run in runs]) for key in keys},
        "histograms": histograms(runs),
    }


def logged(runs: Sequence[Run], key: str) -> np.ndarray:
    """The iterations at which any of the runs has a value."""
    found = [run.curves["iteration"][np.isfinite(run.curves[key])] for run in runs if key in run.curves]
    return np.unique(np.concatenate(found))


def places(axis: str, values: np.ndarray) -> list[Any]:
    """Places on an axis: iterations and images in full, as they are counted."""
    if axis == "seconds":
        return listed(values)
    return [round(x) if math.isfinite(x) else None for x in values.tolist()]


def every(values: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the values, evenly chosen, the first and the last among them."""
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(int)]


def at(run: Run, key: str, iterations: np.ndarray) -> np.ndarray:
    """The run's values at iterations; NaN where it has none."""
    found = np.full(len(iterations), np.nan)
    own = run.curves["iteration"]
    if key in run.curves and len(own):
        places = np.searchsorted(own, iterations).clip(max=len(own) - 1)
        hit = own[places] == iterations
        found[hit] = run.curves[key][places[hit]]
    return found


def band(rows: Sequence[np.ndarray]) -> dict[str, Any]:
    """Mean, its interval, median and quartiles over runs at each point where there is any; the points' places too."""
    table = np.stack(rows)
    there = np.flatnonzero(np.isfinite(table).any(0))
    table = np.where(np.isfinite(table[:, there]), table[:, there], np.nan)
    enough = np.isfinite(table).sum(0) >= FEW
    low, high = (np.where(enough, limit, np.nan) for limit in mean_interval(table))
    quantile = np.quantile if np.isfinite(table).all() else np.nanquantile  # the latter goes column by column
    q25, median, q75 = quantile(table, [0.25, 0.5, 0.75], axis=0) if len(there) else np.empty((3, 0))
    values = {"mean": mean_of(table), "low": low, "high": high, "q25": q25, "median": median, "q75": q75}
    return {"at": there.tolist(), **{name: listed(value) for name, value in values.items()}}


def mean_of(rows: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """The mean over the rows at each point, of what is there."""
    table = np.asarray(rows)
    there = np.isfinite(table)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(there, table, 0).sum(0) / there.sum(0)


def listed(values: np.ndarray) -> list[float | None]:
    """Four significant digits each; null where there is no number."""
    values = np.asarray(values, dtype=float)
    known = np.isfinite(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        places = np.where(known & (values != 0), 3 - np.floor(np.log10(np.abs(values))), 0).clip(-300, 300)
    scale = 10.0 ** places.clip(-300, 300)
    rounded = np.where(known, np.round(np.where(known, values, 0) * scale) / scale, 0)
    return [value if ok else None for value, ok in zip(rounded.tolist(), known.tolist(), strict=True)]


def significant(x: float) -> float | None:
    return listed(np.array([x]))[0]


def thinned(run: Run, keys: Sequence[str], points: int) -> dict[str, Any]:
    """The run's curves and axes at evenly chosen rows; a metric that comes seldom keeps all of its rows, {at, y}."""
    rows = every(np.arange(len(run.curves["iteration"])), points)
    made: dict[str, Any] = {axis: places(axis, run.curves[axis][rows]) for axis in AXES if axis in run.curves}
    for key in keys:
        if key not in run.curves:
            continue
        own = np.flatnonzero(np.isfinite(run.curves[key]))
        own = every(own, points)
        if len(own) < len(rows) / 2 or not np.isin(own, rows).all():
            made[key] = {"at": places("iteration", run.curves["iteration"][own]), "y": listed(run.curves[key][own])}
        else:
            made[key] = listed(run.curves[key][rows])
    return made


def histograms(runs: Sequence[Run]) -> dict[str, Any]:
    """The counts of all runs of a level together, as shares of the samples."""
    having = [run for run in runs if "iteration" in run.histograms]
    if not having:
        return {}
    iterations = frames(np.unique(np.concatenate([run.histograms["iteration"] for run in having])))
    made: dict[str, Any] = {"iteration": iterations.tolist()}
    for key in ("d/real", "d/fake", "logit/fake"):
        widths = {run.histograms[key].shape[1] for run in having if key in run.histograms}
        if len(widths) != 1:
            continue
        total = np.zeros((len(iterations), widths.pop()))
        for run in having:
            if key in run.histograms:
                own, counts = run.histograms["iteration"], run.histograms[key]
                last = np.searchsorted(own, iterations, side="right") - 1  # the newest that there is by then
                total += np.where((last >= 0)[:, None], counts[last.clip(min=0)], 0)
        shares = total / np.maximum(total.sum(1, keepdims=True), 1)
        made[key] = [listed(row) for row in shares]
    return made


def frames(iterations: np.ndarray) -> np.ndarray:
    """At most so many of the iterations, half of them evenly chosen and half on a logarithmic scale: G moves early."""
    n = len(iterations)
    if n <= FRAMES:
        return iterations
    linear, logarithmic = np.linspace(1, n, FRAMES // 2), np.geomspace(1, n, FRAMES // 2)
    return iterations[np.unique(np.concatenate([linear, logarithmic]).round().astype(int)) - 1]


def pictures(runs: Sequence[Run]) -> tuple[list[str], list[dict[str, Any]]]:
    """The pictures that fit, as data URIs, and for each run which of them it has: real, and by iteration."""
    files = [path for run in runs for path in (*run.pictures.values(), run.real) if path is not None and path.is_file()]
    sizes = {path: path.stat().st_size for path in files}
    iterations = sorted({iteration for run in runs for iteration in run.pictures})
    shown = list(runs)
    while shown and total(shown, iterations, sizes) > PICTURES:
        seeds = sorted({run.config["seed"] for run in shown})
        if len(iterations) > 8:
            iterations = fewer(iterations, max(8, len(iterations) * 3 // 4))
        elif len(seeds) > 1:
            shown = [run for run in shown if run.config["seed"] in seeds[: -(-len(seeds) // 2)]]
        elif len(iterations) > 2:
            iterations = fewer(iterations, max(2, len(iterations) // 2))
        else:
            shown = shown[: len(shown) // 2]
    images: list[str] = []
    known: dict[bytes, int] = {}

    def place(path: Path) -> int:
        data = path.read_bytes()
        if data not in known:
            known[data] = len(images)
            images.append("data:image/png;base64," + base64.b64encode(data).decode())
        return known[data]

    kept, chosen = {run.folder for run in shown}, set(iterations)
    gallery: list[dict[str, Any]] = []
    for run in runs:
        own = {n: path for n, path in run.pictures.items() if run.folder in kept and n in chosen and path in sizes}
        real = place(run.real) if own and run.real in sizes else None
        gallery.append({"real": real, "grids": [[n, place(path)] for n, path in own.items()]})
    return images, gallery


def fewer(iterations: list[int], most: int) -> list[int]:
    return [iterations[n] for n in every(np.arange(len(iterations)), most)]


def total(runs: Sequence[Run], iterations: Sequence[int], sizes: Mapping[Path, int]) -> int:
    """The bytes of these runs' pictures of these iterations and of real samples."""
    files = [path for run in runs for path in (run.real, *(run.pictures.get(n) for n in iterations))]
    return sum(sizes.get(path, 0) for path in files if path is not None)


def differing(runs: Sequence[Run], flats: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """What each run's config has where configs differ, the seed left out."""
    keys = {key for own in varying(runs, flats).values() for key in own}
    return [{key.removesuffix("._target_"): short(one.get(key)) for key in sorted(keys)} for one in flats]


def loss_forms(runs: Sequence[Run]) -> dict[str, dict[str, np.ndarray]]:
    """The curves that runs have on record, under the choice of the form, or under its own name where none was made."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for run in runs:
        if run.loss_form is not None:
            name = str(choices(run).get("loss") or run.loss_form["name"])
            found.setdefault(name, {key: np.array(run.loss_form[key], float) for key in ("logit", "g", "g_slope")})
    return found
