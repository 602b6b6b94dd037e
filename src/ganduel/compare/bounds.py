"""Between which values a logged quantity lies, so that an interval of its mean stays there.

metrics of samples        what their protocol has on record: "range", [lowest, highest], null where there is no bound
other keys                KNOWN, by the beginning of the key; also metrics of older runs, whose protocol has no range
"""

import math
from collections.abc import Iterable
from typing import Any

from ganduel.compare.columns import is_number
from ganduel.compare.interval import UNBOUNDED, Bounds
from ganduel.compare.reading import Run

UNIT = ("d/", "saturation/slope_", "saturation/share", "high_quality/", "precision/", "recall/", "coverage/")
POSITIVE = ("saturation/", "grad/", "fd/", "fid/", "modes/", "reverse_kl/", "density/")
KNOWN: dict[str, Bounds] = {
    "saturation/cosine": (-1.0, 1.0), **dict.fromkeys(UNIT, (0.0, 1.0)), **dict.fromkeys(POSITIVE, (0.0, math.inf)),
}  # fmt: skip


def bounds_of(key: str, runs: Iterable[Run]) -> Bounds:
    """The lowest and the highest possible value of a key of these runs' rows."""
    ranges = [run.protocols.get(key, {}).get("range") for run in runs]
    recorded = next((ends for ends in ranges if is_range(ends)), None)
    if recorded is not None:
        low, high = recorded
        return (-math.inf if low is None else float(low)), (math.inf if high is None else float(high))
    return next((ends for start, ends in KNOWN.items() if key.startswith(start)), UNBOUNDED)


def is_range(value: Any) -> bool:
    """Whether a JSON value is [lowest, highest], each a number or null."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(end is None or (is_number(end) and math.isfinite(end)) for end in value)
