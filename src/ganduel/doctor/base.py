"""What is found wrong with a run, and how its record is read for it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ganduel.compare.reading import Run


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        name: what it is, in a few words.
        evidence: the numbers of the run that say so, and since which iteration.
        advice: what to change or to type.
        severity: "error": its samples are not to be used; "warning": they may be; "note": it could not be looked at.
    """

    name: str
    evidence: str
    advice: str
    severity: Literal["error", "warning", "note"] = "error"


def rows_with(run: Run, *keys: str) -> tuple[np.ndarray, ...]:
    """The iterations of the rows in which all of these are finite, and the values of each; empty where there are none.

    The row of an evaluation has none of those of training.
    """
    columns = [run.curves.get(key) for key in ("iteration", *keys)]
    present = [column for column in columns if column is not None]
    if len(present) < len(columns):
        return tuple(np.empty(0) for _ in columns)
    table = np.stack(present)
    return tuple(table[:, np.isfinite(table).all(0)])


def since(iterations: np.ndarray, wrong: np.ndarray) -> int | None:
    """The first iteration of the rows at the end that are all wrong; None if the last one is not."""
    right = np.flatnonzero(~wrong)
    first = right[-1] + 1 if len(right) else 0
    return int(iterations[first]) if first < len(wrong) else None
