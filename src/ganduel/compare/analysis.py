"""The statistics of a comparison: each level of the factor summarised over its seeds, levels compared by paired seeds.

Compared are the last values of metrics. A sample metric is compared only if all runs of a stratum measured it by the
same protocol. The first metric is the primary one; p-values are also given adjusted for the number of metrics (Holm).
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from ganduel.compare.bounds import bounds_of
from ganduel.compare.failure import failure
from ganduel.compare.interval import Bounds, collapse_note, difference_bounds, proportion_interval
from ganduel.compare.notes import notes
from ganduel.compare.pairing import Design
from ganduel.compare.reading import UNFINISHED, Run
from ganduel.compare.statistics import Difference, Summary, difference, holm, summary
from ganduel.errors import UserError, nearest
from ganduel.tracking.files import keys_named

PREFERRED = ("fid", "fd", "kd", "high_quality", "modes")  # as the first metric, by the first word of its name


@dataclass(frozen=True)
class Failures:
    """How many of the ended runs failed, and why; low to high is the interval of the proportion."""

    count: int
    n: int
    low: float
    high: float
    reasons: list[str]


@dataclass(frozen=True)
class Cell:
    """One level of the factor in one stratum.

    Attributes:
        runs: by seed.
        finals: per metric the summary of its last values over the finished runs.
        failures: of the runs that have ended.
        unfinished: the number of runs that have not.
    """

    stratum: str
    level: str
    runs: dict[int, Run]
    finals: dict[str, Summary]
    failures: Failures
    unfinished: int


@dataclass(frozen=True)
class Contrast:
    """Two levels compared by one metric.

    Attributes:
        values: of the pairs, (pairs, 2), first and second, in the order of `seeds`.
        difference: first minus second.
        failed: how many of the pairs' runs failed.
        without_failures: the same over the pairs in which no run failed; None if no run failed.
        p_holm: adjusted for the number of metrics.
        higher_is_better: None if the metric has no direction.
        bounds: the lowest and the highest possible value of the metric.
    """

    stratum: str
    metric: str
    first: str
    second: str
    seeds: list[int]
    values: np.ndarray
    difference: Difference
    failed: int
    without_failures: Difference | None
    p_holm: float
    higher_is_better: bool | None
    bounds: Bounds

    @property
    def better(self) -> str | None:
        """The level that is better on average; None without a direction, a difference or a pair."""
        if self.higher_is_better is None or self.difference.mean == 0 or math.isnan(self.difference.mean):
            return None
        return self.first if (self.difference.mean > 0) == self.higher_is_better else self.second


@dataclass(frozen=True)
class Interaction:
    """How the difference of two levels, first minus second, changes from one stratum to another, seed by seed.

    Attributes:
        difference: of the differences, the one in stratum `of` minus the one in stratum `to`.
    """

    metric: str
    first: str
    second: str
    of: str
    to: str
    difference: Difference


@dataclass(frozen=True)
class Report:
    """Everything that the page and the tables show of a comparison."""

    design: Design
    metrics: list[str]
    cells: list[Cell]
    contrasts: list[Contrast]
    interactions: list[Interaction] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def interval_note(self) -> str | None:
        """What the intervals do not cover, for the level with the fewest runs that has one."""
        sizes = [final.n for cell in self.cells for final in cell.finals.values() if final.n > 1]
        return collapse_note(min(sizes)) if sizes else None

    def contrast(self, stratum: str, metric: str) -> list[Contrast]:
        return [c for c in self.contrasts if (c.stratum, c.metric) == (stratum, metric)]


def analyse(design: Design, metric: str | None = None) -> Report:
    """Summarise and compare.

    Args:
        design: the runs by stratum, level and seed.
        metric: the first metric, or the beginning of its name; None: the first of PREFERRED that was measured.

    Raises:
        UserError: no run has logged the metric.
    """
    runs = list(design.cells.values())
    metrics = select_metrics(metric, runs)
    warnings: list[str] = []
    cells, contrasts = [], []
    for stratum in design.strata:
        runs_of_level = {level: by_seed for level in design.levels if (by_seed := design.of(stratum, level))}
        comparable = []
        for key in metrics:
            if (warning := protocol_warning(key, runs_of_level.values())) is None:
                comparable.append(key)
            else:
                warnings.append(warning)
        cells += [cell(stratum, level, by_seed, comparable) for level, by_seed in runs_of_level.items()]
        for first, second in combinations(runs_of_level, 2):
            contrasts += contrast(design, stratum, first, second, comparable)
    changes = interactions(design, [c for c in contrasts if c.metric == metrics[0]]) if metrics else []
    return Report(design, metrics, cells, contrasts, changes, warnings + notes(design))


def select_metrics(metric: str | None, runs: Sequence[Run]) -> list[str]:
    """The sample metrics, with the first metric in front."""
    measured = list(dict.fromkeys(key for run in runs for key in run.protocols))
    if metric is not None:
        known = [*measured, *sorted({key for run in runs for key in run.curves} - set(measured))]
        if not (matches := keys_named(metric, known)):
            raise UserError(f"--metric {metric} is on no record. {nearest(metric, known)}")
        return [matches[0], *(key for key in measured if key != matches[0])]
    rank = {name: n for n, name in enumerate(PREFERRED)}
    return sorted(measured, key=lambda key: rank.get(key.partition("/")[0], len(rank)))


def protocol_warning(metric: str, runs_of_levels: Iterable[dict[int, Run]]) -> str | None:
    """A warning if the runs measured the metric by different protocols, or some by an unknown one."""
    runs = [run for by_seed in runs_of_levels for run in by_seed.values()]
    known = [run.protocols.get(metric, {}).get("hash", "not on record") for run in runs if metric in run.last]
    hashes = Counter(str(name) for name in known)
    if len(hashes) < 2:
        return None
    counts = ", ".join(f"{name} in {n} run{'s' * (n > 1)}" for name, n in hashes.items())
    return f"{metric} is not compared: its protocols differ ({counts}). ganduel evaluate measures all runs by one."


def cell(stratum: str, level: str, runs: dict[int, Run], metrics: Sequence[str]) -> Cell:
    """Summarise the runs of one level in one stratum."""
    ended = [run for run in runs.values() if run.status != UNFINISHED]
    seeds_of_reason: dict[str, list[str]] = {}
    for run in ended:
        if (reason := failure(run)) is not None:
            seeds_of_reason.setdefault(reason, []).append(str(run.config["seed"]))
    reasons = [
        f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}: {why.rstrip('.')}" for why, seeds in seeds_of_reason.items()
    ]
    count = sum(map(len, seeds_of_reason.values()))
    low, high = proportion_interval(count, len(ended))
    finals = {
        key: summary(np.array([final_value(run, key) for run in runs.values()]), bounds_of(key, runs.values()))
        for key in metrics
    }
    failures = Failures(count, len(ended), low, high, reasons)
    return Cell(stratum, level, runs, finals, failures, len(runs) - len(ended))


def final_value(run: Run, metric: str) -> float:
    """The last value of a finished run; NaN for any other."""
    return run.final(metric) if run.status == "finished" else float("nan")


def contrast(design: Design, stratum: str, first: str, second: str, metrics: Sequence[str]) -> list[Contrast]:
    """Two levels compared by all metrics."""
    pairs = design.pairs(stratum, first, second)
    failed = {seed: sum(failure(run) is not None for run in pair) for seed, pair in pairs.items()}
    ranges = {metric: bounds_of(metric, [run for pair in pairs.values() for run in pair]) for metric in metrics}
    values_of: dict[str, dict[int, list[float]]] = {}
    for metric in metrics:
        values = {seed: [final_value(run, metric) for run in pair] for seed, pair in pairs.items()}
        values_of[metric] = {seed: row for seed, row in values.items() if np.isfinite(row).all()}
    differences = {metric: difference_of(values.values(), ranges[metric]) for metric, values in values_of.items()}
    adjusted = holm(np.array([d.p for d in differences.values()]))
    contrasts = []
    for (metric, values), p_holm in zip(values_of.items(), adjusted, strict=True):
        rest = [row for seed, row in values.items() if not failed[seed]]
        without_failures = difference_of(rest, ranges[metric]) if any(failed.values()) else None
        contrasts.append(
            Contrast(
                stratum, metric, first, second, list(values), as_pairs(values.values()), differences[metric],
                sum(failed[seed] for seed in values), without_failures, float(p_holm), direction(design, metric),
                ranges[metric],
            )
        )  # fmt: skip
    return contrasts


def difference_of(pairs: Iterable[Sequence[float]], bounds: Bounds) -> Difference:
    """First minus second of pairs of values."""
    values = as_pairs(pairs)
    return difference(values[:, 0], values[:, 1], bounds)


def as_pairs(pairs: Iterable[Sequence[float]]) -> np.ndarray:
    """Pairs of values as an array (pairs, 2), also of none."""
    return np.array(list(pairs), dtype=float).reshape(-1, 2)


def direction(design: Design, metric: str) -> bool | None:
    """Whether more of the metric is better; None if it has no direction or was not measured."""
    protocols = [run.protocols[metric] for run in design.cells.values() if metric in run.protocols]
    return protocols[0].get("higher_is_better") if protocols else None


def interactions(design: Design, contrasts: Sequence[Contrast]) -> list[Interaction]:
    """For each two strata on the same hardware, how the difference of two levels changes, over the seeds of both."""
    changes = []
    for one, two in combinations(contrasts, 2):
        hardware = zip(design.hardware[one.stratum], design.hardware[two.stratum], strict=True)
        differs = any(None not in values and len(set(values)) > 1 for values in hardware)
        if (one.first, one.second) != (two.first, two.second) or differs:
            continue
        gaps = [dict(zip(c.seeds, c.values[:, 0] - c.values[:, 1], strict=True)) for c in (one, two)]
        seeds = [seed for seed in gaps[0] if seed in gaps[1]]
        if seeds:
            first, second = (np.array([gap[seed] for seed in seeds]) for gap in gaps)
            change = difference(first, second, difference_bounds(one.bounds))
            changes.append(Interaction(one.metric, one.first, one.second, one.stratum, two.stratum, change))
    return changes
