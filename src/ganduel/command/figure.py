"""Figures for papers and lectures, as PNG or SVG.

loss-forms: what G minimises per generated sample against D(G(z)), and the size of its slope against D's logit. Every
loss form of the package that states its functions of a logit is there, and those on record of runs; below, for each
level of the runs' factor, where the samples were early, midway and late.
"""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from inspect import isabstract
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

import ganduel.loss
from ganduel.atomic import output_file
from ganduel.compare.bundle import histograms, loss_forms
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import Run, read_all
from ganduel.errors import UserError
from ganduel.loss.base import LogitLoss
from ganduel.plot import BLUE, GREEN, GREY, ORANGE, save
from ganduel.tracking.files import range_of

COLOURS = {"nonsaturating": BLUE, "saturating": ORANGE}
MORE = (GREEN, "#cc79a7", "#8c6d00", "#4b4b9b", GREY)
MOMENTS = {"early": 0.02, "midway": 0.5, "late": 1.0}  # of the last iteration
REACH = 5.0  # nats, of the axis of the loss

Curves = Mapping[str, Any]  # logit, g and g_slope, as in loss_form.json


def figure(name: str, paths: Sequence[str], out: Path, factor: str | None = None) -> Path:
    """Draw a figure and return its path.

    Raises:
        UserError: the file's name says no format, or there is no run where runs are named.
    """
    assert name == "loss-forms"
    if out.suffix not in (".png", ".svg"):
        raise UserError(f"-o {out} says no format. Give a file that ends in .png or .svg.")
    runs, aside = read_all(paths) if paths else ([], [])
    if paths and not runs:
        raise UserError(f"there is no run to draw. {'; '.join(f'{a.folder}: {a.reason}' for a in aside[:3])}")
    forms = {**shipped(), **loss_forms(runs)}
    with output_file(out) as part:
        save(drawn(forms, levels(runs, factor)), part)
    return out


def shipped() -> dict[str, Curves]:
    """The curves of all forms of the package."""
    found: dict[str, Curves] = {}
    for module in pkgutil.iter_modules(ganduel.loss.__path__):
        for kind in vars(importlib.import_module(f"ganduel.loss.{module.name}")).values():
            if isinstance(kind, type) and issubclass(kind, LogitLoss) and not isabstract(kind):
                found[module.name] = kind().form()
    return found


def levels(runs: Sequence[Run], factor: str | None) -> dict[str, dict[str, Any]]:
    """The histograms of each level, or of each level in each stratum."""
    if not runs:
        return {}
    design = arrange(runs, factor)
    found: dict[str, dict[str, Any]] = {}
    for stratum in design.strata:
        for level in design.levels:
            counts = histograms(list(design.of(stratum, level).values()))
            if counts:
                found[f"{level}, {stratum}" if stratum else level] = counts
    return found


def drawn(forms: Mapping[str, Curves], samples: Mapping[str, Mapping[str, Any]]) -> Any:
    """The figure."""
    from matplotlib.figure import Figure

    colours = colour_of([*forms, *samples])
    canvas = Figure(figsize=(9, 3.4 + 2.0 * len(samples)), dpi=120, layout="constrained")
    axes = canvas.subplots(1 + len(samples), 2, squeeze=False, height_ratios=[3.4] + [2.0] * len(samples))
    for name, form in forms.items():
        b = np.array(form["logit"])
        axes[0, 0].plot(expit(b), form["g"], color=colours[name], lw=2, label=name)
        axes[0, 1].plot(b, np.abs(form["g_slope"]), color=colours[name], lw=2, label=name)
    axes[0, 0].set(xlabel="D(G(z))", ylabel="G's loss per sample, nats", xlim=(0, 1), ylim=(-REACH, REACH))
    axes[0, 1].set(xlabel="D's logit b", ylabel="|∂L_G / ∂b|", xlim=(-16, 16), ylim=(0, 1.05))
    axes[0, 0].legend(fontsize=8)
    for row, (level, counts) in zip(axes[1:], samples.items(), strict=True):
        for axis, key in zip(row, ("d/fake", "logit/fake"), strict=True):
            moments(axis, counts, key, colours[level])
        row[0].set(xlabel="D(G(z))", ylabel="share", title=f"samples of {level}")
        row[1].set(xlabel="D's logit b")
        if row[0].get_legend_handles_labels()[0]:
            row[0].legend(fontsize=8)
    return canvas


def moments(axis: Any, counts: Mapping[str, Any], key: str, colour: str) -> None:
    """Histograms early, midway and late, darker as time goes."""
    if key not in counts:
        return
    low, high = range_of(key)
    for name, share in MOMENTS.items():
        n = int(np.searchsorted(counts["iteration"], share * counts["iteration"][-1]))
        edges = np.linspace(low, high, len(counts[key][n]) + 1)
        label = f"{name}, iteration {counts['iteration'][n]:,}"
        axis.stairs(counts[key][n], edges, color=colour, alpha=0.3 + 0.7 * share, lw=1.2 + share, label=label)
    axis.set(xlim=(low, high), ylim=(0, None))


def colour_of(names: Sequence[str]) -> dict[str, str]:
    """A form has its colour wherever it is; other names take the rest in order."""
    own = {name: colour for name in names for form, colour in COLOURS.items() if name.split(",")[0] == form}
    rest = [name for name in dict.fromkeys(names) if name not in own]
    return own | {name: MORE[n % len(MORE)] for n, name in enumerate(rest)}
