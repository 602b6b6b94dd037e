"""Whether memory grows: the peak of a long run of the ring at an early iteration and at the end.

The peak is that of the process, so that a run is measured before anything else is done in it.
"""

from typing import Any

from blocks import Iterate, begin, fit, temporary_folder
from population_loops import SETTINGS

from ganduel.run import run

EARLY = 1000  # iterations, after which all is in memory that a run needs


def peak_memory(iterations: int, device: str = "cpu") -> dict[str, Any]:
    """Megabytes that the process, and its GPU, had in use at most, until an early iteration and until the end."""
    early, peaks = min(EARLY, iterations // 2), dict[str, dict[str, float]]()

    def watch(iterate: Iterate) -> Iterate:
        def watched(t: int) -> Any:
            if t == early:
                peaks["early"] = megabytes()
            return iterate(t)

        return watched

    words = [*SETTINGS["ring8"], "callback=[statistics,saturation,sample_grid]", "tracking=none"]
    with temporary_folder() as folder:
        fit(begin(folder, [*words, f"trainer.max_steps={iterations}"], device), folder, watch)
    peaks["end"] = megabytes()
    growth = {place: peaks["end"][place] - peaks["early"][place] for place in peaks["early"]}
    return {"iterations": {"early": early, "end": iterations}, "megabytes": peaks, "growth": growth}


def megabytes() -> dict[str, float]:
    return {place: value / 2**20 for place, value in run.peak_memory().items()}
