"""The answer in sentences: what was measured, how certain it is, and what would settle an open question."""

import math

from ganduel.compare.analysis import Cell, Contrast, Interaction, Report
from ganduel.compare.statistics import Summary, summary

SIGNIFICANT = 0.05


def verdicts(report: Report) -> list[str]:
    """Each two levels of a stratum by the first metric; how strata differ; which levels had failures."""
    unfinished = sum(cell.unfinished for cell in report.cells)
    in_progress = [f"{unfinished} of {len(report.design.cells)} runs have not finished."] if unfinished else []
    if not report.metrics:
        no_metric = "No sample metric was logged, so that nothing says which is better."
        return [*in_progress, no_metric, *failures(report)]
    metric = report.metrics[0]
    sentences = []
    for stratum in report.design.strata:
        cells = [cell for cell in report.cells if cell.stratum == stratum]
        comparisons = [comparison(contrast) for contrast in report.contrast(stratum, metric)]
        answers = comparisons or [alone(cell, metric) for cell in cells]
        if not any(metric in cell.finals for cell in cells):
            answers = [f"nothing can be said about {metric}: it was not measured by one protocol, see the notes."]
        where = f"At {stratum}: " if stratum else ""
        sentences += [capital(where + answer) for answer in answers]
    return in_progress + sentences + [change(interaction) for interaction in report.interactions] + failures(report)


def change(interaction: Interaction) -> str:
    """How the difference of two levels changes from one stratum to another."""
    d = interaction.difference
    by = f"{number(-d.mean)}{interval(-d.high, -d.low)}"
    verb = "changes" if d.p <= SIGNIFICANT else "is not seen to change"
    return (
        f"From {interaction.of} to {interaction.to} the difference {interaction.first} minus {interaction.second} "
        f"{verb}: by {by} over {d.n} seed{'s' * (d.n > 1)}, {p_value(d.p)}."
    )


def comparison(contrast: Contrast) -> str:
    """Two levels by one metric, over their pairs."""
    d = contrast.difference
    if not d.n:
        return f"{contrast.first} and {contrast.second} have no pair of finished runs with {contrast.metric}."
    better = contrast.better or contrast.first
    worse = contrast.second if better == contrast.first else contrast.first
    finals = {contrast.first: contrast.values[:, 0], contrast.second: contrast.values[:, 1]}
    one, two = (shown(summary(finals[level])) for level in (better, worse))
    return (
        f"over {d.n} paired seed{'s' * (d.n > 1)}, {better} ends at {contrast.metric} {one} against {two} of {worse}; "
        f"{difference_text(d.mean, d.low, d.high)}, {p_value(d.p)}{win_count(contrast, better)}. "
        f"{capital(conclusion(contrast, better))}{without_failures(contrast)}"
    )


def win_count(contrast: Contrast, better: str) -> str:
    """In how many pairs the level named first was better; empty if the metric has no direction."""
    d = contrast.difference
    if contrast.higher_is_better is None:
        return ""
    wins = d.wins if (better == contrast.first) != contrast.higher_is_better else 1 - d.wins
    return f", {count(wins * d.n)} of {d.n} win{'s' * (d.n != 1)}"


def without_failures(contrast: Contrast) -> str:
    """The difference over pairs without a failed run: a biased sample, but it separates failing from being worse."""
    d = contrast.without_failures
    if d is None or not d.n:
        return ""
    pairs = f"{d.n} pair{'s' * (d.n > 1)} in which no run failed"
    way = " the other way" if d.mean * contrast.difference.mean < 0 else ""
    return f" Of the {pairs}: {difference_text(d.mean, d.low, d.high)}{way}, {p_value(d.p)}."


def difference_text(mean: float, low: float, high: float) -> str:
    """The difference as a positive number, with its interval."""
    if mean < 0:
        mean, low, high = -mean, -high, -low
    return f"difference {number(mean)}{interval(low, high)}"


def conclusion(contrast: Contrast, better: str) -> str:
    """What can be concluded from the difference."""
    d = contrast.difference
    best = f"{better} is better" if contrast.better else "They differ"
    more = "" if d.needed is None else f" A difference of this size would take about {d.needed} seeds to resolve."
    if d.n == 1:
        return "One pair decides nothing."
    if d.p <= SIGNIFICANT:
        return f"{best}."
    if d.low > 0 or d.high < 0:
        smallest = 2 / 2**d.n
        if smallest > SIGNIFICANT and d.p <= smallest:
            return (
                f"{best} as far as {d.n} pairs can tell: with so few p cannot be below {smallest:.2g}, "
                "six seeds could settle it."
            )
        return f"{best} by the interval, and not by the permutation test: undecided.{more}"
    return f"Undecided: the interval contains 0.{more}"


def alone(cell: Cell, metric: str) -> str:
    """A level without another to compare with."""
    final = cell.finals.get(metric)
    if final is None or not final.n:
        return f"{cell.level} has no finished run with {metric}."
    runs = f"{final.n} run{'s' * (final.n > 1)}"
    return f"{cell.level} ends at {metric} {shown(final)} over {runs}, and there is nothing to compare it with."


def failures(report: Report) -> list[str]:
    """Which levels had failures; a mean over the other runs flatters them."""
    sentences = []
    for cell in report.cells:
        f = cell.failures
        if f.count:
            where = f" at {cell.stratum}" if cell.stratum else ""
            share = f"{f.count / f.n:.0%} [{f.low:.0%}, {f.high:.0%}]"
            sentences.append(
                f"{capital(cell.level)}{where}: {f.count} of {f.n} runs failed, {share}: {'; '.join(f.reasons)}."
            )
    return sentences


def shown(values: Summary) -> str:
    """Mean and interval, such as 19.8 [18.1, 21.3]."""
    return f"{number(values.mean)}{interval(values.low, values.high)}"


def interval(low: float, high: float) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f" [{number(low)}, {number(high)}]"


def number(x: float) -> str:
    """Three significant digits; a dash for NaN."""
    if math.isnan(x):
        return "–"
    return f"{x:.3g}" if abs(x) < 999.5 else f"{x:.0f}"


def probability(p: float) -> str:
    """Two significant digits; a dash for NaN."""
    if math.isnan(p):
        return "–"
    return f"{p:.2g}" if p >= 0.001 else "< 0.001"


def p_value(p: float) -> str:
    return f"p {probability(p)}" if p < 0.001 else f"p = {probability(p)}"


def count(wins: float) -> str:
    """4, or 3.5 where a tie is half a win."""
    return f"{wins:g}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
