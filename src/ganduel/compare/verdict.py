"""The answer in sentences: what was measured, how certain it is, and what would settle an open question.

Tables take their numbers from the functions below too, so that both have the same sign and digits: a difference is
first minus second everywhere. A level is called better only if the permutation test rejects.
"""

import math

from ganduel.compare.analysis import Cell, Contrast, Failures, Interaction, Report
from ganduel.compare.statistics import Difference, Summary, summary

SIGNIFICANT = 0.05


def verdicts(report: Report) -> list[str]:
    """Which levels had failures; each two levels of a stratum by the first metric; how strata differ."""
    unfinished = sum(cell.unfinished for cell in report.cells)
    in_progress = [f"{unfinished} of {len(report.design.cells)} runs have not finished."] if unfinished else []
    if not report.metrics:
        no_metric = "No sample metric was logged, so that nothing says which is better."
        return [*in_progress, *failures(report), no_metric]
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
    return in_progress + failures(report) + sentences + [change(interaction) for interaction in report.interactions]


def change(interaction: Interaction) -> str:
    """How the difference of two levels changes from one stratum to another."""
    d = interaction.difference
    by = with_interval(-d.mean, -d.high, -d.low)
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
    one, two = (shown(summary(finals[level], contrast.bounds)) for level in (better, worse))
    failed = f", in which {contrast.failed} of {2 * d.n} runs failed," if contrast.failed else ","
    difference = f"{contrast.first} minus {contrast.second} is {shown(d)}"
    return (
        f"over {d.n} paired seed{'s' * (d.n > 1)}{failed} {better} ends at {contrast.metric} {one} against {two} of "
        f"{worse}; {difference}, {p_value(d.p)}{win_count(contrast, better)}. "
        f"{conclusion(contrast, better)}{without_failures(contrast)}"
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
    return f" Of the {pairs}: {shown(d)}{way}, {p_value(d.p)}."


def conclusion(contrast: Contrast, better: str) -> str:
    """What can be concluded from the difference."""
    d = contrast.difference
    if d.n == 1:
        return "One pair decides nothing."
    if d.p <= SIGNIFICANT:
        best = f"{capital(better)} is better" if contrast.better else "They differ"
        return f"{best}, but all of these runs failed." if contrast.failed == 2 * d.n else f"{best}."
    more = "" if d.needed is None else f" A difference of this size would take about {d.needed} seeds to resolve."
    if not (d.low > 0 or d.high < 0):
        return f"Undecided: the interval contains 0.{more}"
    smallest = 2 / 2**d.n
    if smallest > SIGNIFICANT and d.p <= smallest:
        return f"Undecided: with {d.n} pairs p cannot be below {probability(smallest)}; six seeds could settle it."
    return f"Undecided: the interval excludes 0, but the permutation test does not reject.{more}"


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
            sentences.append(
                f"{capital(cell.level)}{where}: {f.count} of {f.n} runs failed, {share(f)}: {'; '.join(f.reasons)}."
            )
    return sentences


def share(f: Failures) -> str:
    """The proportion of failed runs and its interval, such as 20% [4%, 62%]; a dash if no run has ended."""
    return f"{f.count / f.n:.0%} [{f.low:.0%}, {f.high:.0%}]" if f.n else "–"


def shown(values: Summary | Difference) -> str:
    """Mean and interval, such as 19.8 [18.1, 21.3]; a dash of no values."""
    return with_interval(values.mean, values.low, values.high)


def with_interval(mean: float, low: float, high: float) -> str:
    limits = "" if math.isnan(low) or math.isnan(high) else f" [{number(low)}, {number(high)}]"
    return f"{number(mean)}{limits}"


def number(x: float) -> str:
    """Three significant digits; a dash for NaN."""
    if math.isnan(x):
        return "–"
    x += 0.0  # no sign before 0
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
