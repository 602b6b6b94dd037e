"""Plots of a GAN on data of known density: D over both densities in 1D, samples over a heat map of D in 2D.

Uses matplotlib without its global state, so that the training process is not affected.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#7f7f7f"  # Okabe & Ito, for colour-blind readers too
DPI = 160  # so that labels are readable at half the size, in the page of a comparison
Array = np.ndarray


def plot_line(
    path: Path,
    title: str,
    x: Array,
    p: Array,
    p_g: Array,
    d: Array,
    d_best: Array | None,
    samples: Array | None = None,
    log_odds: bool = True,
) -> None:
    """Densities and D over x; all arrays are values at x, except for `samples`, which are marked on the axis.

    D is in [0, 1], or with log_odds=False its logits, in whose range there is nothing to compare it with.
    """
    figure, axes = new_figure(title, (4.375, 2.5), DPI)
    axes.fill_between(x, p, color=BLUE, alpha=0.25, lw=0, label="p, data")
    axes.fill_between(x, p_g, color=ORANGE, alpha=0.25, lw=0, label="p_g, generated")
    axes.set_xlabel("x")
    axes.set_ylabel("density")
    axes.set_ylim(bottom=0)
    axes.set_xlim(x[0], x[-1])
    right = axes.twinx()
    if d_best is not None:
        right.plot(x, d_best, color=GREY, ls="--", lw=1.5, label="D* = p / (p + p_g)")
    right.plot(x, d, color=GREEN, lw=2, label="D" if log_odds else "D's logit")
    if log_odds:
        right.axhline(0.5, color=GREY, lw=0.5)
        right.set_ylim(-0.02, 1.02)
    right.set_ylabel("D(x)" if log_odds else "D's logit")
    if samples is not None:
        axes.plot(samples, np.zeros_like(samples), "|", color=ORANGE, ms=8, clip_on=False)
    handles = [h for part in (axes, right) for h in part.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, loc="upper left", fontsize=8, framealpha=0.9)
    save(figure, path)


def plot_plane(
    path: Path,
    title: str,
    box: Sequence[float],
    d: Array,
    samples: Array,
    centres: Array,
    log_odds: bool = True,
) -> None:
    """Samples over D's heat map; `box` is (left, right, bottom, top), d is indexed [x, y].

    D is in [0, 1], or with log_odds=False its logits, whose outermost hundredths are clipped.
    """
    figure, axes = new_figure(title, (3.75, 3.125), DPI)
    low, high = (0, 1) if log_odds else np.nanquantile(d, (0.01, 0.99))
    heat = axes.imshow(d.T, origin="lower", extent=tuple(box), vmin=low, vmax=high, cmap="cividis", aspect="equal")
    figure.colorbar(heat, ax=axes, label="D(x)" if log_odds else "D's logit")
    axes.plot(*samples.T, ".", color="white", ms=2.5, alpha=0.6, mew=0, label="generated")
    axes.plot(*centres.T, "+", color=ORANGE, ms=9, mew=1.5, label="modes")
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])
    axes.legend(loc="upper right", fontsize=8, facecolor="#333333", labelcolor="white", markerscale=1.5)
    save(figure, path)


def new_figure(title: str, size: tuple[float, float], dpi: int = 100) -> tuple[Any, Any]:
    """A figure with one pair of axes, of a size in inches."""
    from matplotlib.figure import Figure  # here, since it takes half a second

    figure = Figure(figsize=size, dpi=dpi, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    return figure, axes


def save(figure: Any, path: Path) -> None:
    """Write a PNG, or an SVG by the suffix, whose bytes do not depend on the time."""
    if path.suffix == ".svg":
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        with rc_context({"svg.hashsalt": "ganduel"}):
            FigureCanvasSVG(figure).print_svg(str(path), metadata={"Date": None, "Creator": None})
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).print_png(str(path), metadata={"Software": None})
