"""The data of the page as plain values, few enough of them that the page stays small."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ganduel.compare.analysis import Cell, Report
from ganduel.compare.bounds import bounds_of
from ganduel.compare.curves import at, axis_values, band, downsample, logged, mean_of, rounded, significant, subsample
from ganduel.compare.failure import failure
from ganduel.compare.labels import choices, distinguishing, make_labels, short
from ganduel.compare.pairing import flat, varying_groups
from ganduel.compare.pictures import pictures
from ganduel.compare.reading import AXES, Run, SkippedFolder
from ganduel.compare.table import as_json, difference_texts
from ganduel.compare.verdict import share

POINTS = 300  # per curve, at most
NUMBERS = 700_000  # in the curves of all single runs, about 5 MB
FRAMES = 60  # per histogram, at most
FORM_CURVES = ("logit", "g", "g_slope")  # of a loss form


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
    names = distinguishing([run.name for run in runs])
    differing = config_diffs(runs, [report.design.flat_configs[run.folder] for run in runs])
    values = as_json(report, skipped)
    for entry, contrast in zip(values["differences"], report.contrasts, strict=True):
        entry["texts"] = difference_texts(contrast)
    for entry, cell in zip(values["cells"], report.cells, strict=True):
        entry["failures"]["text"] = share(cell.failures)
    return {
        "title": title(report),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("ganduel"),
        **values,
        "floors": {metric: floor(runs, metric) for metric in report.metrics},
        "groups": [group(cell) for cell in report.cells],
        "runs": [
            {
                "name": run.name,
                "short_name": names[n],
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
            {"name": name, **form, **{key: rounded(form[key]) for key in FORM_CURVES}}
            for name, form in loss_forms(runs).items()
        ],
        "without_form": without_form(runs),
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
        "curves": {key: band([at(run, key, iterations) for run in runs], bounds_of(key, runs)) for key in keys},
        "histograms": histograms(runs),
    }


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


def config_diffs(runs: Sequence[Run], flat_configs: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Each run's values of the config keys that differ among the runs, without the seed."""
    varying = sorted({key for keys in varying_groups(runs, flat_configs).values() for key in keys})
    diffs: list[dict[str, str]] = [{} for _ in runs]
    for diff, config in zip(diffs, flat_configs, strict=True):
        for key in varying:
            name = key.removesuffix("._target_")
            if key in config or name not in diff:  # penalty={} is `penalty`, a single penalty is `penalty._target_`
                diff[name] = short(config.get(key))
    return diffs


def loss_forms(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """The runs' loss forms by their names: the curves as arrays, and `log_odds`.

    A form is named by the config's choice, or by itself where there is none, and by the parameters in which forms of
    one choice differ.
    """
    runs = [run for run in runs if run.loss_form is not None]
    configs = [flat({"loss": run.config.get("loss")}) for run in runs]
    keys = sorted({key for config in configs for key in config} - {"loss._target_"})
    values = [tuple(config.get(key) for key in keys) for config in configs]
    names = make_labels([*map(form_name, runs)], values, [key.removeprefix("loss.") for key in keys], short)
    forms: dict[str, dict[str, Any]] = {}
    for name, run in zip(names, runs, strict=True):
        forms.setdefault(name, form_of(run))
    return forms


def form_of(run: Run) -> dict[str, Any]:
    """A run's loss form; of one that an older version recorded, the histograms say what its logits are."""
    assert run.loss_form is not None
    log_odds = run.loss_form.get("log_odds", "d/fake" in run.histograms or not run.histograms)
    return {"log_odds": bool(log_odds), **{key: np.array(run.loss_form[key], float) for key in FORM_CURVES}}


def without_form(runs: Sequence[Run]) -> str:
    """A line that names the losses of runs that have no curve; empty if all have one."""
    forms = loss_forms(runs)
    losses = [str(choices(run).get("loss") or run.config.get("loss")) for run in runs if run.loss_form is None]
    missing = [name for name in dict.fromkeys(losses) if name not in forms]
    if not missing:
        return ""
    return (
        f"No curve for {', '.join(missing)}: such a loss has no term per logit, or the callback that records it, "
        "saturation, was off."
    )


def form_name(run: Run) -> str:
    """The loss form's name: the config's choice, or the name that the form gives itself."""
    assert run.loss_form is not None
    return str(choices(run).get("loss") or run.loss_form["name"])
