"""The comparison in a terminal, and as JSON for programs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ganduel.compare.analysis import Report
from ganduel.compare.origin import provenance
from ganduel.compare.reading import Aside
from ganduel.compare.verdict import interval, number, probability, shown, verdicts


def print_report(report: Report, aside: Sequence[Aside], console: Console) -> None:
    """Levels against metrics, differences, what is to be known of them, and the answer last, where it is looked for."""
    console.print(levels(report))
    for view in differences(report):
        console.print(view)
    for line in report.warnings:
        console.print(f"note: {escape(line)}", highlight=False)
    for entry in aside:
        console.print(f"left out: {escape(str(entry.folder))}: {escape(entry.reason)}", highlight=False)
    for line in verdicts(report):
        console.print(escape(line), style="bold", highlight=False)


def levels(report: Report) -> Table:
    """Each level's metrics, a row each: mean and interval over its seeds."""
    view = Table(title="means and 95% intervals over seeds", title_justify="left")
    view.add_column("metric", overflow="fold")
    for cell in report.cells:
        name = f"{cell.level}, {cell.stratum}" if cell.stratum else cell.level
        view.add_column(escape(name), justify="right", overflow="fold")
    for metric in report.metrics:
        found = [cell.finals.get(metric) for cell in report.cells]
        view.add_row(
            escape(metric), *("not compared" if one is None else shown(one) if one.n else "–" for one in found)
        )
    view.add_section()
    view.add_row("runs", *(str(len(cell.runs)) for cell in report.cells))
    view.add_row("failed", *(f"{cell.failures.count} of {cell.failures.n}" for cell in report.cells))
    return view


def differences(report: Report) -> Iterator[Table]:
    """Each two levels by each metric, first less second."""
    pairs = dict.fromkeys((c.stratum, c.first, c.second) for c in report.contrasts)
    for stratum, first, second in pairs:
        where = f" ({stratum})" if stratum else ""
        view = Table(title=escape(f"{first} less {second}{where}, over pairs of a seed"), title_justify="left")
        view.add_column("metric", overflow="fold")
        for name in ("n", "difference", "p", "Holm", "effect", "needed"):
            view.add_column(name, justify="right", overflow="fold")
        for c in report.contrasts:
            if (c.stratum, c.first, c.second) == (stratum, first, second):
                d = c.difference
                words = [f"{number(d.mean)}{interval(d.low, d.high)}", probability(d.p), probability(c.p_holm)]
                needed = "–" if d.needed is None else str(d.needed)
                view.add_row(escape(c.metric), str(d.n), *words, number(d.effect), needed)
        yield view


def as_json(report: Report, aside: Sequence[Aside]) -> dict[str, Any]:
    """Everything that the tables show, unrounded; what is no number is null."""
    design = report.design
    made = {
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
                "finals": {key: asdict(found) for key, found in cell.finals.items()},
                "failures": asdict(cell.failures),
                "unfinished": cell.unfinished,
            }
            for cell in report.cells
        ],
        "differences": [
            {
                "stratum": c.stratum, "metric": c.metric, "first": c.first, "second": c.second,
                "seeds": c.seeds, "values": c.values.tolist(), **asdict(c.difference), "p_holm": c.p_holm,
                "sound": None if c.sound is None else asdict(c.sound),
                "better": c.better, "higher_is_better": c.higher_is_better,
            }
            for c in report.contrasts
        ],
        "interactions": [asdict(found) for found in report.interactions],
        "provenance": provenance([run for cell in report.cells for run in cell.runs.values()]),
        "warnings": report.warnings,
        "left_out": [{"folder": str(entry.folder), "reason": entry.reason} for entry in aside],
    }  # fmt: skip
    return plain(made)


def plain(value: Any) -> Any:
    """The value with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
