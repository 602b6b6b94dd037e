"""Figures for papers and lectures, as PNG or SVG.

loss-forms: G's loss per generated sample against D(G(z)), where a logit is the log-odds of being real, and the
magnitude of its slope against D's logit, for every loss of the package that is a function of a logit, or for those that
runs logged; the same samples are marked on all curves. Below, for each level of the runs' factor, histograms of
D(G(z)) and of the logits early, midway and late in training.

dirac: where training goes in the plane of a Dirac-GAN's two weights (ganduel.command.dirac).
"""

import importlib
import pkgutil
import textwrap
from collections.abc import Mapping, Sequence
from inspect import isabstract
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

import ganduel.loss
from ganduel.atomic import output_file
from ganduel.command.dirac import draw as draw_dirac
from ganduel.compare.bundle import histograms, loss_forms, without_form
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import Run, read_all
from ganduel.errors import UserError
from ganduel.loss.base import LogitLoss
from ganduel.plot import BLUE, GREEN, GREY, ORANGE, save
from ganduel.tracking.files import range_of

COLOURS = {"nonsaturating": BLUE, "saturating": ORANGE}
MORE = (GREEN, "#cc79a7", "#8c6d00", "#4b4b9b", GREY, "#56b4e9", "#b22222")
LABELS = {"d/fake": "D(G(z))", "logit/fake": "D's logit b"}  # of the axes, by the key of a histogram
MOMENTS = {"early": 0.02, "midway": 0.5, "late": 1.0}  # of the last iteration
REACH = 5.0  # of the axis of the loss, on both sides of 0, and of the logits whose slopes are in view
STEEPEST = 4.0  # of the axis of the slope, which the paper's forms need up to 1
DOTS = (-4.0, -3.0, -2.0, -1.0, 0.0)  # D's logits of the samples that are marked
CAPTION = "Dots: the same samples on all curves, at D's logit b = −4, −3, −2, −1, 0."
LOG_ODDS = "Where a logit is the log-odds of being real, D(G(z)) = sigmoid(b)."
SATURATING = (
    "In D the saturating loss is not flat, its slope is −1/(1 − D), which is −1 at D = 0. G learns through the logit, "
    "and in b the slope of the saturating loss is −D, which vanishes where D rejects the samples; that of the "
    "non-saturating loss is −(1 − D)."
)

Form = Mapping[str, Any]  # log_odds, logit, g and g_slope, as in loss_form.json


def figure(name: str, paths: Sequence[str], out: Path, factor: str | None = None) -> Path:
    """Draw a figure and return its path.

    Raises:
        UserError: the file name has no known suffix, or the paths contain no run.
    """
    assert name in ("loss-forms", "dirac")
    if out.suffix not in (".png", ".svg"):
        raise UserError(f"-o {out} says no format. Give a file that ends in .png or .svg.")
    runs, skipped = read_all(paths) if paths else ([], [])
    if paths and not runs:
        reasons = "; ".join(f"{entry.folder}: {entry.reason}" for entry in skipped[:3])
        raise UserError(f"there is no run to draw. {reasons}")
    canvas = draw_dirac(runs) if name == "dirac" else draw_loss_forms(runs, factor)
    with output_file(out) as part:
        save(canvas, part)
    return out


def draw_loss_forms(runs: Sequence[Run], factor: str | None) -> Any:
    """The forms that the runs logged, and their samples; without runs the package's forms."""
    forms = loss_forms(runs) if runs else package_forms()
    return draw(forms, histograms_by_level(runs, factor), without_form(runs))


def package_forms() -> dict[str, Form]:
    """All loss forms of the package, with the parameters that they have by default."""
    forms: dict[str, Form] = {}
    for module in pkgutil.iter_modules(ganduel.loss.__path__):
        for kind in vars(importlib.import_module(f"ganduel.loss.{module.name}")).values():
            if isinstance(kind, type) and issubclass(kind, LogitLoss) and not isabstract(kind):
                forms[module.name] = kind().form()
    return forms


def histograms_by_level(runs: Sequence[Run], factor: str | None) -> dict[str, dict[str, Any]]:
    """The histograms of each level, or of each level in each stratum."""
    if not runs:
        return {}
    design = arrange(runs, factor)
    by_level: dict[str, dict[str, Any]] = {}
    for stratum in design.strata:
        for level in design.levels:
            counts = histograms(list(design.of(stratum, level).values()))
            if counts:
                by_level[f"{level}, {stratum}" if stratum else level] = counts
    return by_level


def draw(forms: Mapping[str, Form], samples: Mapping[str, Mapping[str, Any]], missing: str = "") -> Any:
    """The figure; `missing` is the last line of its caption."""
    from matplotlib.figure import Figure

    colours = colour_of([*forms, *samples])
    columns = panels(forms, samples)
    width = 4.5 * len(columns)
    canvas = Figure(figsize=(width, 4.0 + 2.0 * len(samples)), dpi=120, layout="constrained")
    axes = canvas.subplots(1 + len(samples), len(columns), squeeze=False, height_ratios=[3.4] + [2.0] * len(samples))
    for axis, (key, term) in zip(axes[0], columns, strict=True):
        draw_forms(axis, forms, colours, key, term)
    for row, (level, counts) in zip(axes[1:], samples.items(), strict=True):
        for axis, (key, term) in zip(row, columns, strict=True):
            draw_histograms(axis, counts if (key, term) != ("logit/fake", "g") else {}, key, colours[level])
            axis.set(xlabel=LABELS[key])
        row[0].set(ylabel="proportion", title=f"samples of {level}")
        legend_axis = next((axis for axis in row if axis.get_legend_handles_labels()[0]), None)
        if legend_axis is not None:
            legend_axis.legend(fontsize=8)
    texts = [CAPTION, LOG_ODDS if columns[0][0] == "d/fake" else "", SATURATING if "saturating" in forms else ""]
    lines = [
        line for text in (" ".join(filter(None, texts)), missing) for line in textwrap.wrap(text, 75 * len(columns))
    ]
    canvas.supxlabel("\n".join(lines), fontsize=8, x=0.01, ha="left", parse_math=False)  # a name may have a $
    return canvas


def panels(forms: Mapping[str, Form], samples: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The columns, each a place on the x axis, by the key of its histogram, and what the forms have there.

    G's loss is over D(G(z)) for forms whose logits are log-odds, and over the logits where there are others.
    """
    log_odds = [form["log_odds"] for form in forms.values()]
    with_d = any(log_odds) or any("d/fake" in counts for counts in samples.values())
    columns = [("d/fake", "g")] * with_d + [("logit/fake", "g")] * (not all(log_odds))
    return [*columns, ("logit/fake", "g_slope")]


def draw_forms(axis: Any, forms: Mapping[str, Form], colours: Mapping[str, str], key: str, term: str) -> None:
    """A term of all forms that have it over D(G(z)), "d/fake", or over the logit, "logit/fake"."""
    steepest = 1.0
    for n, (name, form) in enumerate(forms.items()):
        if key == "d/fake" and not form["log_odds"]:
            continue
        b, y = np.array(form["logit"]), np.array(form[term])
        y = np.abs(y) if term == "g_slope" else y
        steepest = max([steepest, *y[np.abs(b) <= REACH]])
        dots = {"marker": "o", "markevery": np.flatnonzero(np.isin(b, DOTS)).tolist()}
        width = 2 + 0.6 * (len(forms) - 1 - n)  # of forms with the same curve, as hinge and wasserstein, both show
        axis.plot(expit(b) if key == "d/fake" else b, y, color=colours[name], lw=width, label=name, **dots)
    axis.set(xlabel=LABELS[key], xlim=range_of(key))
    if term == "g_slope":
        axis.set(ylabel="|∂L_G / ∂b|", ylim=(0, 1.05 * min(steepest, STEEPEST)))
    else:
        axis.set(ylabel="G's loss per sample" + ", nats" * (key == "d/fake"), ylim=(-REACH, REACH))
    if axis.lines:
        axis.legend(fontsize=8)


def draw_histograms(axis: Any, counts: Mapping[str, Any], key: str, colour: str) -> None:
    """Histograms early, midway and late in training, from light to dark; without any only the title is drawn."""
    if key not in counts:
        axis.set_axis_off()
        return
    low, high = range_of(key)
    for name, share in MOMENTS.items():
        n = int(np.searchsorted(counts["iteration"], share * counts["iteration"][-1]))
        edges = np.linspace(low, high, len(counts[key][n]) + 1)
        label = f"{name}, iteration {counts['iteration'][n]:,}"
        axis.stairs(counts[key][n], edges, color=colour, alpha=0.3 + 0.7 * share, lw=1.2 + share, label=label)
    axis.set(xlim=(low, high), ylim=(0, None))


def colour_of(names: Sequence[str]) -> dict[str, str]:
    """Forms of the paper have fixed colours; other names take the rest in order."""
    fixed = {name: colour for name in names for form, colour in COLOURS.items() if name.split(",")[0] == form}
    rest = [name for name in dict.fromkeys(names) if name not in fixed]
    return fixed | {name: MORE[n % len(MORE)] for n, name in enumerate(rest)}
