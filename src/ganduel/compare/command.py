"""What `ganduel compare` does: read the runs, answer in the terminal or as JSON, write the page, keep it up to date."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ganduel.compare.analysis import Report, analyse
from ganduel.compare.page import write_page
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import NO_ROWS, Aside, read_all
from ganduel.compare.table import as_json, print_report
from ganduel.compare.verdict import verdicts
from ganduel.errors import UserError


def compare(
    paths: Sequence[str],
    factor: str | None = None,
    metric: str | None = None,
    out: Path | None = None,
    as_json_text: bool = False,
    watch: int | None = None,
    wandb: str | None = None,
    console: Console | None = None,
) -> None:
    """Compare runs.

    Args:
        paths: folders of runs or of sweeps, or patterns.
        factor: what is compared; None: what varies.
        metric: the question's metric; None: the first of the usual ones.
        out: the page to write; None: the answer is printed as tables.
        as_json_text: print JSON instead.
        watch: seconds between two looks, until all runs have ended; None: look once.
        wandb: ENTITY/PROJECT, to build a W&B workspace there.
        console: where tables go.
    """
    console = console or Console()
    if out is not None and (out.is_dir() or out.suffix.lower() not in (".html", ".htm")):
        raise UserError(f"-o {out} is not a page. Give a file that ends in .html.")
    if watch is not None and (out is None or watch < 1):
        raise UserError("--watch keeps a page up to date, every second or less often. Give one by -o duel.html.")
    if watch is not None and (as_json_text or wandb is not None):
        raise UserError("--watch writes a page and nothing else. Leave out --json and --wandb, or --watch.")
    if watch is not None:
        keep_watching(paths, factor, metric, out or Path(), watch, console)
        return
    report, aside = look(paths, factor, metric)
    if out is not None:
        write_page(report, aside, out)
    if wandb is not None:
        from ganduel.compare.workspace import save_workspace

        beside = Console(stderr=True) if as_json_text else console
        line(beside, f"W&B workspace: {save_workspace(report, wandb)}")
    if as_json_text:
        console.print_json(json.dumps(as_json(report, aside)))
    elif out is not None:
        say(report, aside, out, console)
    else:
        print_report(report, aside, console)


def look(paths: Sequence[str], factor: str | None, metric: str | None) -> tuple[Report, list[Aside]]:
    """The comparison as it stands.

    Raises:
        UserError: no run has a row yet.
    """
    runs, aside = read_all(paths)
    if not runs:
        reasons = "; ".join(f"{entry.folder}: {entry.reason}" for entry in aside[:3])
        raise UserError(f"there is no run to compare. {reasons}")
    return analyse(arrange(runs, factor), metric), aside


def say(report: Report, aside: Sequence[Aside], out: Path, console: Console) -> None:
    """The answer, and where the page is."""
    for words in verdicts(report):
        console.print(words, highlight=False, markup=False)
    left = f", {len(aside)} left out" if aside else ""
    size = out.stat().st_size / 1e6
    line(console, f"{out}: {counted(len(report.design.cells))}{left}, {size:.1f} MB")


def line(console: Console, words: str) -> None:
    """As it is: names of files may have brackets, and are copied."""
    console.print(words, highlight=False, markup=False, soft_wrap=True)


def keep_watching(
    paths: Sequence[str], factor: str | None, metric: str | None, out: Path, seconds: int, console: Console
) -> None:
    """Write the page again and again until all runs have ended, or Ctrl-C; the last one does not load itself again."""
    report: Report | None = None
    aside: list[Aside] = []
    try:
        while True:
            try:
                report, aside = look(paths, factor, metric)
            except UserError as error:
                line(console, f"waiting: {error}")
            else:
                going = sum(cell.unfinished for cell in report.cells)
                begun = sum(entry.reason == NO_ROWS for entry in aside)
                if not going + begun:
                    break
                write_page(report, aside, out, refresh=seconds)
                now, n = time.strftime("%H:%M:%S"), len(report.design.cells) + begun
                line(console, f"{now} {out}: {counted(n)}, {going + begun} unfinished")
            time.sleep(seconds)
    except KeyboardInterrupt:
        line(console, "stopped watching")
    if report is not None:
        write_page(report, aside, out)
        say(report, aside, out, console)


def counted(n: int) -> str:
    return f"{n} run{'s' * (n != 1)}"
