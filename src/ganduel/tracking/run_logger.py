"""The logger of a run's own files, named in ganduel.tracking.files, which are written as the run goes.

A row is on disk before a checkpoint that follows it. On resume the rows after the checkpoint are dropped: the run
writes them again.
"""

import logging
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ganduel.atomic import atomic_write
from ganduel.tracking.base import Logger
from ganduel.tracking.files import CONFIG, HISTOGRAMS, METRICS, PROTOCOLS, SUMMARY, damage, rows, to_json
from ganduel.tracking.secrets import without_secrets

log = logging.getLogger("ganduel")


class RunLogger(Logger):
    """Logs to the run's folder; rows go to `metrics.jsonl`.

    Args:
        folder: the run's folder.

    Attributes:
        last: the last value of each metric.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder
        self.last: dict[str, Any] = {}

    @rank_zero_only
    def begin(self, iteration: int) -> None:
        """Drop the summary, and the rows after that iteration."""
        (self.folder / SUMMARY).unlink(missing_ok=True)
        for name in (METRICS, HISTOGRAMS, PROTOCOLS):
            rewind(self.folder / name, iteration)
        for row in rows(self.folder / METRICS):
            self.last.update({key: math.nan if value is None else value for key, value in row.items()})

    @property
    def name(self) -> str:
        return "record"

    @property
    def version(self) -> str:
        return self.folder.name

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        numbers = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in metrics.items()}
        row = self.row(numbers, step)
        self.last.update(row)
        append(self.folder / METRICS, row)

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
        """Write `summary.json`, unless the folder is gone: the run has failed by then."""
        with suppress(FileNotFoundError):
            write(self.folder / SUMMARY, to_json(without_secrets(summary), indent=2) + "\n")


def write_config(folder: Path, values: Mapping[str, Any]) -> None:
    """Write the resolved config of a run, without secrets."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / CONFIG, to_yaml(without_secrets(values)))


def to_yaml(values: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Append a row; from then on it survives a kill of this process.

    Without Python's buffers, which take longer to create than the row: members of a population write many.
    """
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        remaining = memoryview((to_json(row) + "\n").encode())
        while remaining:
            remaining = remaining[os.write(file, remaining) :]
    finally:
        os.close(file)


def rewind(path: Path, iteration: int) -> None:
    """Drop the rows after the iteration, those that name none, and a truncated last line.

    A run that begins at iteration 0 logs the rows of iteration 0 again.
    """
    if path.exists():
        whole = rows(path)
        if lost := damage(path, len(whole)):
            log.warning("%s: %s", path.parent, lost)
        numbered = [(row, n) for row in whole if isinstance(n := row.get("iteration"), int | float)]
        kept = [row for row, n in numbered if n <= iteration and iteration > 0]
        write(path, "".join(to_json(row) + "\n" for row in kept))


def write(path: Path, text: str) -> None:
    """Replace a file atomically."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
