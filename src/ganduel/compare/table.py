"""The comparison in a terminal, and as JSON for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ganduel.compare.analysis import Contrast, Report
from ganduel.compare.origin import provenance
from ganduel.compare.reading import SkippedFolder
from ganduel.compare.verdict import count, number, probability, shown, verdicts
from ganduel.tracking.files import finite_or_null

SHOWN = ("n", "difference", "p", "Holm", "effect", "needed")  # of a difference, in a terminal


def print_report(report: Report, skipped: Sequence[SkippedFolder], console: Console) -> None:
    """Print levels against metrics, differences and notes; the answer comes last, where a terminal shows it."""
    console.print(levels(report))
    for table in differences(report):
        console.print(table)
    for line in report.warnings:
        console.print(f"note: {escape(line)}", highlight=False)
    for entry in skipped:
        console.print(f"left out: {escape(str(entry.folder))}: {escape(entry.reason)}", highlight=False)
    for line in verdicts(report):
        console.print(escape(line), style="bold", highlight=False)


def levels(report: Report) -> Table:
    """One row per metric, one column per level: mean and interval over its seeds."""
    caption = None if report.interval_note is None else escape(report.interval_note)
    table = Table(
        title="means and 95% intervals over seeds", title_justify="left", caption=caption, caption_justify="left"
    )
    table.add_column("metric", overflow="fold")
    for cell in report.cells:
        name = f"{cell.level}, {cell.stratum}" if cell.stratum else cell.level
        table.add_column(escape(name), justify="right", overflow="fold")
    for metric in report.metrics:
        finals = [cell.finals.get(metric) for cell in report.cells]
        table.add_row(escape(metric), *("not compared" if one is None else shown(one) for one in finals))
    table.add_section()
    table.add_row("runs", *(str(len(cell.runs)) for cell in report.cells))
    table.add_row("failed", *(f"{cell.failures.count} of {cell.failures.n}" for cell in report.cells))
    return table


def differences(report: Report) -> Iterator[Table]:
    """For each two levels a table of all metrics, first minus second."""
    pairs = dict.fromkeys((c.stratum, c.first, c.second) for c in report.contrasts)
    for stratum, first, second in pairs:
        where = f" ({stratum})" if stratum else ""
        table = Table(title=escape(f"{first} minus {second}{where}, paired by seed"), title_justify="left")
        table.add_column("metric", overflow="fold")
        for name in SHOWN:
            table.add_column(name, justify="right", overflow="fold")
        for c in report.contrasts:
            if (c.stratum, c.first, c.second) == (stratum, first, second):
                texts = difference_texts(c)
                table.add_row(escape(c.metric), *(texts[name] for name in SHOWN))
        yield table


def difference_texts(c: Contrast) -> dict[str, str]:
    """What a table has of a difference, each with the digits that the sentences have."""
    d = c.difference
    wins = "–"
    if c.higher_is_better is not None and d.n:
        wins = f"{count((1 - d.wins if c.higher_is_better else d.wins) * d.n)} of {d.n}"
    return {
        "n": str(d.n),
        "difference": shown(d),
        "p": probability(d.p),
        "Holm": probability(c.p_holm),
        "effect": number(d.effect),
        "wins": wins,
        "needed": "–" if d.needed is None else str(d.needed),
    }


def as_json(report: Report, skipped: Sequence[SkippedFolder]) -> dict[str, Any]:
    """Everything that the tables show, unrounded; NaN and infinity are null."""
    design = report.design
    values = {
        "factor": design.factor,
        "levels": design.levels,
        "strata": design.strata,
        "metrics": report.metrics,
        "verdicts": verdicts(report),
        "cells": [
            {
                "stratum": cell.stratum,
                "level": cell.level,
                "runs": {str(seed): str(run.folder) for seed, run in cell.runs.items()},
                "finals": {key: asdict(final) for key, final in cell.finals.items()},
                "failures": asdict(cell.failures),
                "unfinished": cell.unfinished,
            }
            for cell in report.cells
        ],
        "differences": [
            {
                "stratum": c.stratum, "metric": c.metric, "first": c.first, "second": c.second,
                "seeds": c.seeds, "values": c.values.tolist(), **asdict(c.difference), "p_holm": c.p_holm,
                "sound": None if c.without_failures is None else asdict(c.without_failures),
                "better": c.better, "higher_is_better": c.higher_is_better,
            }
            for c in report.contrasts
        ],
        "interval_note": report.interval_note,
        "interactions": [asdict(interaction) for interaction in report.interactions],
        "provenance": provenance([run for cell in report.cells for run in cell.runs.values()]),
        "warnings": report.warnings,
        "left_out": [{"folder": str(entry.folder), "reason": entry.reason} for entry in skipped],
    }  # fmt: skip
    return finite_or_null(values)
