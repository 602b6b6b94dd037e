"""The logger for Trackio, Hugging Face's tracker: rows, pictures and the config, in a database on this machine.

    trackio show --project ganduel        a dashboard in the browser

Rows go to TRACKIO_DIR, by default ~/.cache/huggingface/trackio, without an account; to a Space if TRACKIO_SPACE_ID
names one. The step is the iteration. Trackio is in beta: the format of its database may change, that of the run's
record does not. Needs `pip install 'ganduel[trackio]'`.
"""

import logging
from collections.abc import Mapping
from contextlib import redirect_stdout
from contextvars import Context
from io import StringIO
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ganduel.errors import UserError
from ganduel.tracking.base import Logger
from ganduel.tracking.run_name import group_name
from ganduel.tracking.secrets import without_secrets

log = logging.getLogger("ganduel")


class Trackio(Logger):
    """Logs to a Trackio run that has the name of the run's folder; a resumed run continues it.

    Args:
        folder: the run's folder.
        config: the run's resolved config.
        project: Trackio's project.
        group: which runs belong together; None: those that differ in the seed alone.

    Attributes:
        run: Trackio's run; None before training begins.
    """

    run: Any = None

    def __init__(self, folder: Path, config: Mapping[str, Any], project: str = "ganduel", group: str | None = None):
        super().__init__()
        try:
            import trackio
        except ImportError as error:
            raise UserError("tracking=trackio needs trackio: pip install 'ganduel[trackio]'.") from error
        self.trackio: Any = trackio
        self.folder, self.config = folder, config
        self.project, self.group = project, group or group_name(config)

    @property
    def name(self) -> str:
        return "trackio"

    @property
    def version(self) -> str:
        return self.config["run"]["id"]

    @rank_zero_only
    def begin(self, iteration: int) -> None:
        """Start Trackio's run, in a context of its own: in one that has a run already, that would be finished."""
        arguments = {
            "project": self.project,
            "name": f"{without_secrets(self.folder.name)}-{self.version}",
            "group": self.group,
            "config": without_secrets(self.config),
            "resume": "allow",
            "auto_log_cpu": False,
            "auto_log_gpu": False,
            "embed": False,
        }
        with redirect_stdout(StringIO()):
            self.run = Context().run(self.trackio.init, **arguments)
        log.info("Trackio: run %s. To see it: trackio show --project %s", arguments["name"], self.project)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        row = self.row(metrics, step)
        self.run.log(row, step=row["iteration"])

    @rank_zero_only
    def log_picture(self, key: str, path: Path, caption: str, step: int) -> None:
        self.run.log({key: self.trackio.Image(str(path), caption=caption)}, step=step)

    @rank_zero_only
    def finish(self, summary: Mapping[str, Any]) -> None:
        if self.run is not None:
            with redirect_stdout(StringIO()):
                self.run.finish()
