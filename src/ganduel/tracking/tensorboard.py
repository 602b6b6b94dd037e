"""The logger for TensorBoard: rows, histograms, pictures and the config, in the folder `tensorboard` of the run's.

    tensorboard --logdir runs        shows every run below, by its folder

The step is the iteration. On resume TensorBoard drops what was logged after the checkpoint. Needs `pip install
'ganduel[tensorboard]'`.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from PIL import Image

from ganduel.errors import UserError
from ganduel.tracking.base import Logger
from ganduel.tracking.files import range_of
from ganduel.tracking.secrets import without_secrets

FLUSH_SECONDS = 10


class TensorBoard(Logger):
    """Logs to event files.

    Args:
        folder: the run's folder.
        config: the run's resolved config.

    Attributes:
        writer: torch's SummaryWriter; None before the run begins.
    """

    writer: Any = None

    def __init__(self, folder: Path, config: Mapping[str, Any]):
        super().__init__()
        if find_spec("tensorboard") is None:
            raise UserError("tracking=tensorboard needs tensorboard: pip install 'ganduel[tensorboard]'.")
        self.folder, self.config = folder, config

    @property
    def name(self) -> str:
        return "tensorboard"

    @property
    def version(self) -> str:
        return self.folder.name

    @rank_zero_only
    def begin(self, iteration: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # here, since the import is slow

        first = iteration + 1 if iteration else 0
        self.writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=first, flush_secs=FLUSH_SECONDS)
        text = yaml.safe_dump(without_secrets(self.config), sort_keys=False, allow_unicode=True)
        self.writer.add_text("config", f"```\n{text}```", iteration)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        row = self.row(metrics, step)
        iteration = row.pop("iteration")
        for key, value in row.items():
            self.writer.add_scalar(key, value, iteration)

    @rank_zero_only
    def log_histograms(self, counts: Mapping[str, list[int]], step: int) -> None:
        for key, n in counts.items():
            edges = np.linspace(*range_of(key), len(n) + 1)
            centres = (edges[:-1] + edges[1:]) / 2
            self.writer.add_histogram_raw(
                f"hist/{key.replace('/', '_')}",
                min=edges[0],
                max=edges[-1],
                num=sum(n),
                sum=centres @ n,
                sum_squares=centres**2 @ n,
                bucket_limits=edges[1:].tolist(),
                bucket_counts=n,
                global_step=step,
            )

    @rank_zero_only
    def log_picture(self, key: str, path: Path, caption: str, step: int) -> None:
        self.writer.add_image(key, np.asarray(Image.open(path).convert("RGB")), step, dataformats="HWC")

    @rank_zero_only
    def finish(self, summary: Mapping[str, Any]) -> None:
        if self.writer is not None:
            self.writer.close()
