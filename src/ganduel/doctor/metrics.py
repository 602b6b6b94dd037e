"""What the metrics of samples say: modes that are lost, a collapse after the best, training images repeated.

    modes are lost     at the end, by the rule of compare.failure
    late collapse      since an evaluation the value is worse than the best by more than it varies in sound runs: known
                       modes by a fifth; recall and coverage by half; a Fréchet distance is more than twice the sum of
                       the best and its floor, but of points, where it may be anything next to 0
    memorisation       more than 5% of the samples, and more than three times as many as of held-out ones, are as near
                       to a training image as a hundredth of these are to each other

A value with a standard error has to be worse by three of these, too.
"""

from shlex import quote

import numpy as np

from ganduel.compare.failure import MIN_OF_FLOOR, modes_are_lost
from ganduel.compare.reading import UNFINISHED, Run
from ganduel.doctor.base import Finding, rows_with, since

KEPT = {"modes": 0.8, "recall": 0.5, "coverage": 0.5}  # of the best value, by the first word of the metric
DISTANCES = ("fd", "fid")
TIMES, ERRORS = 2, 3
EVALUATIONS = 3  # at least
COPIES, COPIES_OF_FLOOR = 0.05, 3


def lost_modes(run: Run) -> list[Finding]:
    """Modes or recall far below those of real samples, at the end: in the beginning they always are."""
    if run.status == UNFINISHED or (reason := modes_are_lost(run)) is None:
        return []
    advice = "Try penalty=[r1], pack=2 or unroll=5, and other seeds."
    return [Finding("modes are lost", reason.partition(": ")[2], advice)]


def late_collapse(run: Run) -> list[Finding]:
    """The first metric that was far better once; one is enough, as they collapse together."""
    for metric in run.protocols:
        iterations, values, floors = rows_with(run, metric, f"{metric}/floor")
        best = best_of(metric, values)
        if best is None or len(values) < EVALUATIONS or values[best] < least_of(metric, floors[-1]):
            continue
        began = since(iterations, worse(run, metric, values, values[best], floors[-1]))
        if began is None or began <= iterations[best]:
            continue
        evidence = f"{metric} {values[best]:.3g} at iteration {int(iterations[best]):,}, now {values[-1]:.3g}"
        advice = "Train no longer than that, or try penalty=[r1] or a lower learning rate."
        if (checkpoint := run.folder / "checkpoints" / "best.ckpt").is_file():
            advice += f" The best weights are kept: ganduel sample {quote(str(checkpoint))} --out best.png"
        return [Finding("late collapse", f"{evidence}, since iteration {began:,}", advice)]
    return []


def best_of(metric: str, values: np.ndarray) -> int | None:
    """The index of the best value; None for a metric that no rule is for, or that has no values."""
    kind, _, features = metric.partition("/")
    if not len(values) or not (kind in KEPT or (kind in DISTANCES and not features.startswith("points"))):
        return None
    return int(values.argmax() if kind in KEPT else values.argmin())


def least_of(metric: str, floor: float) -> float:
    """The value below which modes are lost already; −∞ where more is no better."""
    return MIN_OF_FLOOR.get(metric.partition("/")[0], -np.inf) * floor if floor > 0 else -np.inf


def worse(run: Run, metric: str, values: np.ndarray, best: float, floor: float) -> np.ndarray:
    """Which values are worse than the best by more than noise."""
    kind = metric.partition("/")[0]
    limit = KEPT[kind] * best if kind in KEPT else TIMES * (best + abs(floor))
    errors = run.curves.get(f"{metric}/error")
    noise = 0.0 if errors is None or np.isnan(errors).all() else ERRORS * np.nanmax(errors)
    gaps = best - values if kind in KEPT else values - best
    return (values < limit if kind in KEPT else values > limit) & (gaps > noise)


def memorisation(run: Run) -> list[Finding]:
    """Samples that are training images; a note where that was not measured."""
    copies = next((key for key in run.protocols if key.startswith("copies/")), None)
    if copies is None:
        return []
    value, floor = run.final(copies), run.final(f"{copies}/floor")
    if not value > max(COPIES, COPIES_OF_FLOOR * floor):
        return []
    evidence = f"{copies} {value:.1%}, of held-out samples {floor:.1%}"
    nearest = copies.replace("copies", "nearest", 1)
    if nearest in run.protocols:
        evidence += f"; {nearest} {run.final(nearest):.3g}, of held-out samples {run.final(f'{nearest}/floor'):.3g}"
    advice = "More data, augment=ada, or fewer iterations; accept no fd of these samples."
    return [Finding("memorisation", evidence, advice, "warning")]
