"""The rows as one table, `csv/metrics.csv` in the run's folder, by Lightning's CSVLogger.

A resumed run writes the table anew: first the rows that its record has kept, then those to come.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ganduel.tracking.base import Logger
from ganduel.tracking.files import METRICS, rows


class CSV(Logger):
    """Logs to a file of comma-separated values.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder
        # Lightning saves after each step with (step + 1) % n == 0: each.
        self.table = CSVLogger(folder, name="csv", version="", flush_logs_every_n_steps=1)

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return self.folder.name

    @rank_zero_only
    def begin(self, iteration: int) -> None:
        (self.folder / "csv" / "metrics.csv").unlink(missing_ok=True)
        for row in rows(self.folder / METRICS):
            self.add(row)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self.add(self.row(metrics, step))

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; Lightning has the iteration in a column of its own, `step`."""
        self.table.log_metrics({key: value for key, value in row.items() if key != "iteration"}, row["iteration"])
