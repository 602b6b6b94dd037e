"""`ganduel compare`: reads runs, prints the answer as tables or JSON, writes the page and keeps it up to date."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ganduel.compare.analysis import Report, analyse
from ganduel.compare.page import write_page
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import NO_ROWS, SkippedFolder, read_all
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
        paths: folders of runs or sweeps, or glob patterns.
        factor: what is compared; None: what varies.
        metric: the primary metric; None: the first of the usual ones that was measured.
        out: the page to write; None: the answer is printed as tables.
        as_json_text: print JSON instead.
        watch: seconds between updates of the page, until all runs have ended; None: write it once.
        wandb: ENTITY/PROJECT of the W&B workspace to build.
        console: where tables are printed.
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
    report, skipped = build_report(paths, factor, metric)
    if out is not None:
        write_page(report, skipped, out)
    if wandb is not None:
        from ganduel.compare.workspace import save_workspace

        text_console = Console(stderr=True) if as_json_text else console
        print_line(text_console, f"W&B workspace: {save_workspace(report, wandb)}")
    if as_json_text:
        console.print_json(json.dumps(as_json(report, skipped)))
    elif out is not None:
        print_answer(report, skipped, out, console)
    else:
        print_report(report, skipped, console)


def build_report(paths: Sequence[str], factor: str | None, metric: str | None) -> tuple[Report, list[SkippedFolder]]:
    """The comparison of what the folders contain now.

    Raises:
        UserError: no run has a row yet.
    """
    runs, skipped = read_all(paths)
    if not runs:
        reasons = "; ".join(f"{entry.folder}: {entry.reason}" for entry in skipped[:3])
        raise UserError(f"there is no run to compare. {reasons}")
    return analyse(arrange(runs, factor), metric), skipped


def print_answer(report: Report, skipped: Sequence[SkippedFolder], out: Path, console: Console) -> None:
    """Print the verdicts and the path of the page."""
    for sentence in (*verdicts(report), report.interval_note):
        if sentence is not None:
            console.print(sentence, highlight=False, markup=False)
    left_out = f", {len(skipped)} left out" if skipped else ""
    size = out.stat().st_size / 1e6
    print_line(console, f"{out}: {counted(len(report.design.cells))}{left_out}, {size:.1f} MB")


def print_line(console: Console, text: str) -> None:
    """Print without wrapping or markup: file names may have brackets, and are copied."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def keep_watching(
    paths: Sequence[str], factor: str | None, metric: str | None, out: Path, seconds: int, console: Console
) -> None:
    """Rewrite the page until all runs have ended, or until Ctrl-C; the last version does not reload itself."""
    report: Report | None = None
    skipped: list[SkippedFolder] = []
    try:
        while True:
            try:
                report, skipped = build_report(paths, factor, metric)
            except UserError as error:
                print_line(console, f"waiting: {error}")
            else:
                without_rows = sum(entry.reason == NO_ROWS for entry in skipped)
                unfinished = sum(cell.unfinished for cell in report.cells) + without_rows
                if not unfinished:
                    break
                write_page(report, skipped, out, refresh=seconds)
                now, n = time.strftime("%H:%M:%S"), len(report.design.cells) + without_rows
                print_line(console, f"{now} {out}: {counted(n)}, {unfinished} unfinished")
            time.sleep(seconds)
    except KeyboardInterrupt:
        print_line(console, "stopped watching")
    if report is not None:
        write_page(report, skipped, out)
        print_answer(report, skipped, out, console)


def counted(n: int) -> str:
    return f"{n} run{'s' * (n != 1)}"
