"""The logger of a run's own files, named in ganduel.tracking.files, which are written as the run goes.

A row is on disk before a checkpoint that follows it. On resume the rows after the checkpoint are dropped: the run
writes them again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ganduel.atomic import atomic_write
from ganduel.errors import UserError, typed
from ganduel.tracking.base import Logger, is_first_rank
from ganduel.tracking.files import CONFIG, HISTOGRAMS, METRICS, PROTOCOLS, SUMMARY, rows
from ganduel.tracking.secrets import without_secrets


class RunLogger(Logger):
    """Logs to the run's folder; rows go to `metrics.jsonl`.

    Args:
        folder: the run's folder.
        rewind_to: the iteration that a resumed run goes on from; rows of later ones are dropped.

    Attributes:
        last: the last value of each metric.
    """

    def __init__(self, folder: Path, rewind_to: int = 0):
        super().__init__()
        self.folder = folder
        self.last: dict[str, Any] = {}
        if is_first_rank():
            (folder / SUMMARY).unlink(missing_ok=True)
            for name in (METRICS, HISTOGRAMS, PROTOCOLS):
                rewind(folder / name, rewind_to)
            for row in rows(folder / METRICS):
                self.last.update(row)

    @property
    def name(self) -> str:
        return "record"

    @property
    def version(self) -> str:
        return self.folder.name

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self.last.update(metrics)
        append(self.folder / METRICS, metrics)

    @rank_zero_only
    def log_histograms(self, counts: Mapping[str, list[int]], step: int) -> None:
        append(self.folder / HISTOGRAMS, {"iteration": step, **counts})

    @rank_zero_only
    def log_protocols(self, protocols: Mapping[str, Mapping[str, Any]], step: int) -> None:
        """Append those that are new or have changed."""
        hashes = {row.get("metric"): row.get("hash") for row in rows(self.folder / PROTOCOLS)}
        for key, protocol in protocols.items():
            if hashes.get(key) != protocol["hash"]:
                append(self.folder / PROTOCOLS, {"iteration": step, **protocol, "metric": key})

    @rank_zero_only
    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write `summary.json`."""
        write(self.folder / SUMMARY, json.dumps(without_secrets(summary), indent=2) + "\n")


def create_config(folder: Path, values: Mapping[str, Any]) -> None:
    """Reserve a folder for a run by writing its config; two runs never share one."""
    if (folder / CONFIG).exists():
        advice = f"Go on with it by {typed('resume', folder)}, or choose another folder."
        raise UserError(f"{folder} holds a run already. {advice}")
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, values)


def write_config(folder: Path, values: Mapping[str, Any]) -> None:
    """Write the resolved config of a run, without secrets."""
    write(folder / CONFIG, yaml.safe_dump(without_secrets(values), sort_keys=False, allow_unicode=True))


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Append a row; from then on it survives a kill of this process.

    Without Python's buffers, which take longer to create than the row: members of a population write many.
    """
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        remaining = memoryview((json.dumps(row) + "\n").encode())
        while remaining:
            remaining = remaining[os.write(file, remaining) :]
    finally:
        os.close(file)


def rewind(path: Path, iteration: int) -> None:
    """Drop the rows after the iteration, those that name none, and a truncated last line."""
    if path.exists():
        kept = [row for row in rows(path) if isinstance(n := row.get("iteration"), int | float) and n <= iteration]
        write(path, "".join(json.dumps(row) + "\n" for row in kept))


def write(path: Path, text: str) -> None:
    """Replace a file atomically."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
