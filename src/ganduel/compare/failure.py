"""Which runs failed, by rules that are the same for all: a comparison of the survivors alone would flatter.

    ended badly      status failed or diverged
    not a number     the last value of a loss is NaN or infinite
    D has won        on average over the last tenth of the rows D is right of at least 99.9% of the samples, and G's
                     gradient is at most 1% as long as at its longest: nothing moves G any more
    modes are lost   fewer than half of the known modes that real samples show, or recall or coverage below a tenth of
                     that of real samples

A run that has not ended has not failed yet. The thresholds are ours, and generous: a run that fails by them fails by
any others.
"""

import math

import numpy as np

from ganduel.compare.reading import FAILED_STATUSES, UNFINISHED, Run

WON_ACCURACY, VANISHED_GRADIENT = 0.999, 0.01
MIN_OF_FLOOR = {"modes": 0.5, "recall": 0.1, "coverage": 0.1}  # by the first word of the metric


def failure(run: Run) -> str | None:
    """Why the run has failed; None if it has not, or not yet."""
    if run.status in FAILED_STATUSES:
        return f"{run.status}: {run.reason}" if run.reason else run.status
    if run.status == UNFINISHED:
        return None
    return not_a_number(run) or d_has_won(run) or modes_are_lost(run)


def not_a_number(run: Run) -> str | None:
    for key in ("loss/d", "loss/g"):
        values = run.curves.get(key)
        if values is not None and not math.isfinite(run.final(key)):
            return f"{key} is not a number"
    return None


def d_has_won(run: Run) -> str | None:
    curves = [run.curves.get(key) for key in ("d/accuracy_real", "d/accuracy_fake", "grad/norm_g")]
    if any(values is None for values in curves):
        return None
    real, fake, norms = (values[np.isfinite(values)] for values in curves if values is not None)
    if not (len(real) and len(fake) and len(norms)):
        return None
    accuracy = (late(real) + late(fake)) / 2
    vanished = late(norms) <= VANISHED_GRADIENT * norms.max()
    won = accuracy >= WON_ACCURACY and vanished
    return "D has won: it is always right, and G's gradient is gone" if won else None


def late(values: np.ndarray) -> float:
    """The mean of the last tenth."""
    return float(values[-max(1, len(values) // 10) :].mean())


def modes_are_lost(run: Run) -> str | None:
    for metric in run.protocols:
        min_of_floor = MIN_OF_FLOOR.get(metric.partition("/")[0])
        value, floor = run.final(metric), run.final(f"{metric}/floor")
        if min_of_floor is not None and value < min_of_floor * floor:
            return f"modes are lost: {metric} is {value:.3g}, where real samples have {floor:.3g}"
    return None
