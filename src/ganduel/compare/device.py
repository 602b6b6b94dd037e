"""Runs on different device types are not paired, even with the same seed and config; nor are some on several ranks.

Draws inside an update (dropout, random penalties, augmentation) come from the device's own random stream, and its
kernels round differently, so that such runs differ in more than the factor. On another number of ranks BatchNorm takes
its statistics from other rows; runs without it have equal results up to rounding there, and are paired. A run whose
device or dependence on ranks is unknown may be paired with any: it has not ended, or an older version logged it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ganduel.compare.reading import Run


def split_by_hardware(strata: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """The runs' strata, where those that have runs on several device types or numbers of ranks are split by these.

    Args:
        strata: of each run.
        runs: the runs, in the same order.
    """
    seeds = [run.config["seed"] for run in runs]
    by_device = split(strata, seeds, "device", [run.device for run in runs])
    return split(by_device, seeds, "ranks", [run.ranks for run in runs])


def split(strata: Sequence[str], seeds: Sequence[int], name: str, values: Sequence[Any]) -> list[str]:
    """The strata, where those with several values are split by it; None is that of most runs of the seed, or of all."""
    in_stratum: dict[str, Counter[Any]] = {stratum: Counter() for stratum in strata}
    in_seed: dict[tuple[str, int], Counter[Any]] = {}
    for stratum, seed, value in zip(strata, seeds, values, strict=True):
        if value is not None:
            in_stratum[stratum][value] += 1
            in_seed.setdefault((stratum, seed), Counter())[value] += 1
    parts = []
    for stratum, seed, value in zip(strata, seeds, values, strict=True):
        counts = in_stratum[stratum]
        if len(counts) < 2:
            parts.append(stratum)
            continue
        known = most_common(in_seed.get((stratum, seed), counts)) if value is None else value
        parts.append(f"{stratum}, {name}={known}" if stratum else f"{name}={known}")
    return parts


def most_common(counts: Counter[Any]) -> Any:
    """The value with the highest count; of several the first in order, whatever the order of runs."""
    return min(counts, key=lambda value: (-counts[value], value))


def hardware_notes(runs: Sequence[Run]) -> list[str]:
    """Notes if the runs were trained on several device types, or on several numbers of ranks with other results."""
    lines = []
    devices = Counter(run.device for run in runs if run.device is not None)
    if len(devices) > 1:
        groups = " and ".join(f"on {device} ({counted(n)})" for device, n in sorted(devices.items()))
        lines.append(
            f"runs {groups} are not paired: dropout, random penalties and augmentation draw other numbers on another "
            "device, and rounding differs. Train all runs on one device type, such as trainer.accelerator=cpu."
        )
    ranks = Counter(run.ranks for run in runs if run.ranks is not None)
    if len(ranks) > 1:
        groups = " and ".join(f"on {n} rank{'s' * (n > 1)} ({counted(ranks[n])})" for n in sorted(ranks))
        lines.append(
            f"runs {groups} are not paired: their networks mix the samples of a batch, as BatchNorm does, and each "
            "rank mixes its own. Train all runs on one number of ranks, or on GPUs with trainer.sync_batchnorm=true."
        )
    return lines


def counted(n: int) -> str:
    return f"{n} run{'s' * (n > 1)}"
