"""Runs on different device types are not paired, even with the same seed and config.

Draws inside an update (dropout, random penalties, augmentation) come from the device's own random stream, and its
kernels round differently, so that such runs differ in more than the factor. A run whose device is unknown may be paired
with any: it has not ended, or an older version logged it.
"""

from collections import Counter
from collections.abc import Sequence

from ganduel.compare.reading import Run


def split_by_device(strata: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """The runs' strata, where those that have runs on several device types are split by device.

    Args:
        strata: of each run.
        runs: the runs, in the same order.
    """
    in_stratum: dict[str, Counter[str]] = {stratum: Counter() for stratum in strata}
    in_seed: dict[tuple[str, int], Counter[str]] = {}
    for stratum, run in zip(strata, runs, strict=True):
        if run.device is not None:
            in_stratum[stratum][run.device] += 1
            in_seed.setdefault((stratum, run.config["seed"]), Counter())[run.device] += 1
    split = []
    for stratum, run in zip(strata, runs, strict=True):
        devices = in_stratum[stratum]
        if len(devices) < 2:
            split.append(stratum)
            continue
        device = run.device or most_common(in_seed.get((stratum, run.config["seed"]), devices))
        split.append(f"{stratum}, device={device}" if stratum else f"device={device}")
    return split


def most_common(counts: Counter[str]) -> str:
    """The device with the highest count; of several the first by name, whatever the order of runs."""
    return min(counts, key=lambda device: (-counts[device], device))


def device_note(runs: Sequence[Run]) -> str | None:
    """A note if the runs were trained on several device types."""
    counts = Counter(run.device for run in runs if run.device is not None)
    if len(counts) < 2:
        return None
    groups = " and ".join(f"on {device} ({n} run{'s' * (n > 1)})" for device, n in sorted(counts.items()))
    return (
        f"runs {groups} are not paired: dropout, random penalties and augmentation draw other numbers on another "
        "device, and rounding differs. Train all runs on one device type, such as trainer.accelerator=cpu."
    )
