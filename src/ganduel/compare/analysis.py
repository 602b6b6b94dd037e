"""A comparison in numbers: every level of the factor summed up over its seeds, every two levels paired seed by seed.

What is compared are the last values of metrics. Those of samples are compared only if all runs of a stratum measured
them by the same protocol. The first metric is the question asked; the p-values of all metrics together are also given
as adjusted for asking so many (Holm).
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from ganduel.compare.failure import failure
from ganduel.compare.interval import proportion_interval
from ganduel.compare.pairing import Design
from ganduel.compare.reading import UNFINISHED, Run
from ganduel.compare.statistics import Difference, Summary, difference, holm, summary
from ganduel.errors import UserError, nearest

PREFERRED = ("fid", "fd", "kd", "high_quality", "modes")  # to be the first metric, by the first word of its name


@dataclass(frozen=True)
class Failures:
    """How many of the runs that have ended failed, and why; low to high is the interval of the share."""

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
        finals: the summary of each metric's last values, over the runs that finished.
        failures: of the runs that have ended.
        unfinished: how many have not.
    """

    stratum: str
    level: str
    runs: dict[int, Run]
    finals: dict[str, Summary]
    failures: Failures
    unfinished: int


@dataclass(frozen=True)
class Contrast:
    """Two levels by one metric.

    Attributes:
        values: of the pairs, (pairs, 2), first and second, in the order of `seeds`.
        difference: first less second.
        sound: the same over the pairs in which no run failed; None if none did.
        p_holm: adjusted for all metrics of these two levels.
        higher_is_better: None, if neither is.
    """

    stratum: str
    metric: str
    first: str
    second: str
    seeds: list[int]
    values: np.ndarray
    difference: Difference
    sound: Difference | None
    p_holm: float
    higher_is_better: bool | None

    @property
    def better(self) -> str | None:
        """The level that is better on average; None if no direction is, there is no difference, or no pair."""
        if self.higher_is_better is None or self.difference.mean == 0 or math.isnan(self.difference.mean):
            return None
        return self.first if (self.difference.mean > 0) == self.higher_is_better else self.second


@dataclass(frozen=True)
class Interaction:
    """How the difference of two levels, first less second, changes from one stratum to another, seed by seed.

    Attributes:
        difference: of the differences, that in the stratum `of` less that in the stratum `to`.
    """

    metric: str
    first: str
    second: str
    of: str
    to: str
    difference: Difference


@dataclass(frozen=True)
class Report:
    """All that a page or a table shows of a comparison in numbers."""

    design: Design
    metrics: list[str]
    cells: list[Cell]
    contrasts: list[Contrast]
    interactions: list[Interaction] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def contrast(self, stratum: str, metric: str) -> list[Contrast]:
        return [c for c in self.contrasts if (c.stratum, c.metric) == (stratum, metric)]


def analyse(design: Design, metric: str | None = None) -> Report:
    """Sum up and compare.

    Args:
        design: the runs in their places.
        metric: the first metric, or the beginning of its name; None: the first of the usual ones that was measured.

    Raises:
        UserError: the metric is on no record.
    """
    runs = list(design.cells.values())
    metrics = chosen(metric, runs)
    warnings: list[str] = []
    cells, contrasts = [], []
    for stratum in design.strata:
        places = {level: design.of(stratum, level) for level in design.levels}
        sound = [m for m in metrics if not (mixed := protocols_mixed(m, places.values())) or warnings.append(mixed)]
        cells += [cell(stratum, level, own, sound) for level, own in places.items() if own]
        for first, second in combinations([level for level, own in places.items() if own], 2):
            contrasts += contrast(design, stratum, first, second, sound)
    found = interactions([c for c in contrasts if c.metric == metrics[0]]) if metrics else []
    return Report(design, metrics, cells, contrasts, found, warnings + remarks(design))


def chosen(metric: str | None, runs: Sequence[Run]) -> list[str]:
    """The metrics of samples, with the first metric in front."""
    measured = list(dict.fromkeys(key for run in runs for key in run.protocols))
    if metric is not None:
        known = [*measured, *sorted({key for run in runs for key in run.curves} - set(measured))]
        found = [key for key in known if key == metric] or [key for key in known if key.startswith(f"{metric}/")]
        if not found:
            raise UserError(f"--metric {metric} is on no record. {nearest(metric, known)}")
        return [found[0], *(key for key in measured if key != found[0])]
    rank = {name: n for n, name in enumerate(PREFERRED)}
    return sorted(measured, key=lambda key: rank.get(key.partition("/")[0], len(rank)))


def protocols_mixed(metric: str, places: Iterable[dict[int, Run]]) -> str | None:
    """What to say if the runs measured the metric by different protocols, or some by an unknown one."""
    runs = [run for own in places for run in own.values()]
    known = [run.protocols.get(metric, {}).get("hash", "not on record") for run in runs if metric in run.last]
    hashes = Counter(str(name) for name in known)
    if len(hashes) < 2:
        return None
    counts = ", ".join(f"{name} in {n} run{'s' * (n > 1)}" for name, n in hashes.items())
    return f"{metric} is not compared: its protocols differ ({counts}). ganduel evaluate measures all runs by one."


def cell(stratum: str, level: str, runs: dict[int, Run], metrics: Sequence[str]) -> Cell:
    ended = [run for run in runs.values() if run.status != UNFINISHED]
    why: dict[str, list[str]] = {}
    for run in ended:
        if (reason := failure(run)) is not None:
            why.setdefault(reason, []).append(str(run.config["seed"]))
    reasons = [f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}: {reason}" for reason, seeds in why.items()]
    count = sum(map(len, why.values()))
    low, high = proportion_interval(count, len(ended))
    finals = {key: summary(np.array([last(run, key) for run in runs.values()])) for key in metrics}
    failures = Failures(count, len(ended), low, high, reasons)
    return Cell(stratum, level, runs, finals, failures, len(runs) - len(ended))


def last(run: Run, metric: str) -> float:
    """The last value of a run that finished; NaN of any other."""
    return run.final(metric) if run.status == "finished" else float("nan")


def contrast(design: Design, stratum: str, first: str, second: str, metrics: Sequence[str]) -> list[Contrast]:
    """Two levels by all metrics."""
    pairs = design.pairs(stratum, first, second)
    failed = {seed for seed, pair in pairs.items() if any(failure(run) is not None for run in pair)}
    made = []
    for metric in metrics:
        values = {seed: [last(run, metric) for run in pair] for seed, pair in pairs.items()}
        known = {seed: row for seed, row in values.items() if np.isfinite(row).all()}
        whole = difference_of(list(known.values()))
        sound = difference_of([row for seed, row in known.items() if seed not in failed]) if failed else None
        made.append((metric, known, whole, sound))
    adjusted = holm(np.array([whole.p for *_, whole, _ in made]))
    return [
        Contrast(
            stratum, metric, first, second, list(known), np.array(list(known.values()), dtype=float).reshape(-1, 2),
            whole, sound, float(p), direction(design, metric),
        )
        for (metric, known, whole, sound), p in zip(made, adjusted, strict=True)
    ]  # fmt: skip


def difference_of(pairs: Sequence[Sequence[float]]) -> Difference:
    """First less second of pairs of values."""
    table = np.array(pairs, dtype=float).reshape(-1, 2)
    return difference(table[:, 0], table[:, 1])


def direction(design: Design, metric: str) -> bool | None:
    """Whether more of the metric is better; None if neither is, or it is on no record."""
    found = [run.protocols[metric] for run in design.cells.values() if metric in run.protocols]
    return found[0].get("higher_is_better") if found else None


def interactions(contrasts: Sequence[Contrast]) -> list[Interaction]:
    """Each two strata by what they make of each two levels, over the seeds that both have."""
    made = []
    for one, two in combinations(contrasts, 2):
        if (one.first, one.second) != (two.first, two.second):
            continue
        gaps = [dict(zip(c.seeds, c.values[:, 0] - c.values[:, 1], strict=True)) for c in (one, two)]
        seeds = [seed for seed in gaps[0] if seed in gaps[1]]
        if seeds:
            first, second = (np.array([gap[seed] for seed in seeds]) for gap in gaps)
            found = difference(first, second)
            made.append(Interaction(one.metric, one.first, one.second, one.stratum, two.stratum, found))
    return made


def remarks(design: Design) -> list[str]:
    """What a reader should know of the runs beside the numbers."""
    said = [f"the runs also differ in {words}" for words in design.besides]
    said += [f"{run.name} repeats a run that is there already, and is left out" for run in design.repeated]
    for stratum in design.strata:
        present = [level for level in design.levels if design.of(stratum, level)]
        where = f" at {stratum}" if stratum else ""
        for first, second in combinations(present, 2):
            if lonely := design.unpaired(stratum, first, second):
                seeds = ", ".join(str(run.config["seed"]) for run in lonely)
                which = f"seeds {seeds} have" if len(lonely) > 1 else f"seed {seeds} has"
                verb = "are" if len(lonely) > 1 else "is"
                said.append(f"{first} and {second}{where}: {which} a run of one of them only, and {verb} not compared")
        if len(present) == 1 and len(design.levels) > 1:
            said.append(
                f"{present[0]}{where} has nothing to be compared with: no other {design.factor} has a run there"
            )
    return said
