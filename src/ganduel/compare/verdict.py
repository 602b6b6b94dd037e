"""The answer in sentences, honest where there is none: what was found, how sure that is, and what would settle it."""

import math

from ganduel.compare.analysis import Cell, Contrast, Interaction, Report
from ganduel.compare.statistics import Summary, summary

SIGNIFICANT = 0.05


def verdicts(report: Report) -> list[str]:
    """What each two levels of a stratum come to by the first metric; how strata differ; which levels had failures."""
    unfinished = sum(cell.unfinished for cell in report.cells)
    going = [f"{unfinished} of {len(report.design.cells)} runs have not finished."] if unfinished else []
    if not report.metrics:
        nothing = "No metric of samples is on record, so that nothing says which is better."
        return [*going, nothing, *failures(report)]
    metric = report.metrics[0]
    said = []
    for stratum in report.design.strata:
        contrasts = report.contrast(stratum, metric)
        cells = [cell for cell in report.cells if cell.stratum == stratum]
        found = [sentence(contrast) for contrast in contrasts] or [alone(cell, metric) for cell in cells]
        if not any(metric in cell.finals for cell in cells):
            found = [f"nothing is said of {metric}: it was not measured by one protocol, see the notes."]
        where = f"At {stratum}: " if stratum else ""
        said += [capital(where + words) for words in found]
    return going + said + [change(found) for found in report.interactions] + failures(report)


def change(found: Interaction) -> str:
    """How much it matters to the difference of two levels what else varies."""
    d = found.difference
    by = f"{number(-d.mean)}{interval(-d.high, -d.low)}"
    verb = "changes" if d.p <= SIGNIFICANT else "is not seen to change"
    return (
        f"From {found.of} to {found.to} the difference {found.first} less {found.second} {verb}: by {by} over {d.n} "
        f"seed{'s' * (d.n > 1)}, {p_value(d.p)}."
    )


def sentence(contrast: Contrast) -> str:
    """What two levels come to by a metric, over their pairs."""
    d = contrast.difference
    if not d.n:
        return f"{contrast.first} and {contrast.second} have no pair of finished runs with {contrast.metric}."
    better = contrast.better or contrast.first
    worse = contrast.second if better == contrast.first else contrast.first
    ends = {contrast.first: contrast.values[:, 0], contrast.second: contrast.values[:, 1]}
    one, two = (shown(summary(ends[level])) for level in (better, worse))
    return (
        f"over {d.n} paired seed{'s' * (d.n > 1)}, {better} ends at {contrast.metric} {one} against {two} of {worse}; "
        f"{gap(d.mean, d.low, d.high)}, {p_value(d.p)}{won(contrast, better)}. "
        f"{capital(conclusion(contrast, better))}{survivors(contrast)}"
    )


def won(contrast: Contrast, better: str) -> str:
    """In how many pairs the level named first was the better one; nothing if the metric has no better."""
    d = contrast.difference
    if contrast.higher_is_better is None:
        return ""
    wins = d.wins if (better == contrast.first) != contrast.higher_is_better else 1 - d.wins
    return f", {count(wins * d.n)} of {d.n} win{'s' * (d.n != 1)}"


def survivors(contrast: Contrast) -> str:
    """What the pairs without a failed run say; they are not a fair sample, but tell failing from being worse."""
    d = contrast.sound
    if d is None or not d.n:
        return ""
    pairs = f"{d.n} pair{'s' * (d.n > 1)} in which no run failed"
    way = " the other way" if d.mean * contrast.difference.mean < 0 else ""
    return f" Of the {pairs}: {gap(d.mean, d.low, d.high)}{way}, {p_value(d.p)}."


def gap(mean: float, low: float, high: float) -> str:
    """The difference as a positive number, with its interval."""
    if mean < 0:
        mean, low, high = -mean, -high, -low
    return f"difference {number(mean)}{interval(low, high)}"


def conclusion(contrast: Contrast, better: str) -> str:
    """How far that goes."""
    d = contrast.difference
    best = f"{better} is better" if contrast.better else "They differ"
    more = "" if d.needed is None else f" A difference of this size would take about {d.needed} seeds to resolve."
    if d.n == 1:
        return "One pair decides nothing."
    if d.p <= SIGNIFICANT:
        return f"{best}."
    if d.low > 0 or d.high < 0:
        least = 2 / 2**d.n
        if least > SIGNIFICANT and d.p <= least:
            return (
                f"{best} as far as {d.n} pairs can tell: with so few p cannot be below {least:.2g}, "
                "six seeds could settle it."
            )
        return f"{best} by the interval, and not by the permutation test: undecided.{more}"
    return f"Undecided: the interval contains 0.{more}"


def alone(cell: Cell, metric: str) -> str:
    """A level without another to compare with."""
    found = cell.finals.get(metric)
    if found is None or not found.n:
        return f"{cell.level} has no finished run with {metric}."
    runs = f"{found.n} run{'s' * (found.n > 1)}"
    return f"{cell.level} ends at {metric} {shown(found)} over {runs}, and there is nothing to compare it with."


def failures(report: Report) -> list[str]:
    """Which levels had failures; a mean over the rest flatters them."""
    said = []
    for cell in report.cells:
        f = cell.failures
        if f.count:
            where = f" at {cell.stratum}" if cell.stratum else ""
            share = f"{f.count / f.n:.0%} [{f.low:.0%}, {f.high:.0%}]"
            said.append(
                f"{capital(cell.level)}{where}: {f.count} of {f.n} runs failed, {share}: {'; '.join(f.reasons)}."
            )
    return said


def shown(found: Summary) -> str:
    """19.8 [18.1, 21.3], mean and interval."""
    return f"{number(found.mean)}{interval(found.low, found.high)}"


def interval(low: float, high: float) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f" [{number(low)}, {number(high)}]"


def number(x: float) -> str:
    """Three digits; a dash for what is no number."""
    if math.isnan(x):
        return "–"
    return f"{x:.3g}" if abs(x) < 999.5 else f"{x:.0f}"


def probability(p: float) -> str:
    """Two digits, as p-values deserve."""
    if math.isnan(p):
        return "–"
    return f"{p:.2g}" if p >= 0.001 else "< 0.001"


def p_value(p: float) -> str:
    return f"p {probability(p)}" if p < 0.001 else f"p = {probability(p)}"


def count(wins: float) -> str:
    """4, or 3.5 where a tie is half a win."""
    return f"{wins:g}"


def capital(words: str) -> str:
    return words[:1].upper() + words[1:]
