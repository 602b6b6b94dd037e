"""Weights & Biases: the live view of a run. The run's record on disk is complete without it.

    WANDB_MODE is set        it decides: online, offline or disabled
    there is a key           online
    no key, no server        offline: into FOLDER/wandb, for `wandb sync` to upload

One line says which it is, why, and how to upload later. W&B never prompts, and whatever happens to it, training goes
on: its calls are made in order by a thread of their own, for which a run waits a bounded time when it begins and when
it ends. W&B's step is the iteration; its x axis is `images_seen`, which every row has.
"""

import logging
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ganduel.tracking.base import Logger
from ganduel.tracking.files import range_of
from ganduel.tracking.run_name import LENGTH, all_tags, group_name
from ganduel.tracking.secrets import without_secrets
from ganduel.tracking.wandb_session import brief, has_key, resolve_mode, teardown
from ganduel.tracking.worker_thread import SerialWorker

log = logging.getLogger("ganduel")

MAX_PENDING_ROWS = 10_000
GRACE_SECONDS = 20.0  # beyond W&B's own timeouts, before it is given up


class Wandb(Logger):
    """Logs to a W&B run with the id of our run; a resumed run continues it.

    Args:
        folder: the run's folder.
        config: the run's resolved config.
        project: W&B's project.
        entity: the user or team that owns it; None: the API key's own.
        group: what W&B averages over; None: everything that names the run but its seed.
        tags: tags in addition to the run's loss form, penalty, model, data set and seed.
        init_timeout: seconds to wait for the server before the run goes on offline.
        finish_timeout: seconds to wait at the end for the upload of the rest.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        project: str = "ganduel",
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        init_timeout: float = 15.0,
        finish_timeout: float = 30.0,
    ):
        super().__init__()
        self.folder, self.config = folder, config
        self.arguments: dict[str, Any] = {
            "project": project,
            "entity": entity,
            "group": group or group_name(config),
            "tags": all_tags(config, tags),
            "job_type": config["run"]["choices"].get("loss"),
        }
        self.init_timeout, self.finish_timeout = init_timeout, finish_timeout
        self.run: Any = None
        self.warned = False
        self.worker: SerialWorker | None = None

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return self.config["run"]["id"]

    @rank_zero_only
    def begin(self, iteration: int) -> None:
        """Start the W&B run, and say how that went."""
        self.worker = SerialWorker()
        log.info("W&B: %s", self.connect(self.worker))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        row = self.row(metrics, step)
        self.log(row["iteration"], lambda: row)

    @rank_zero_only
    def log_histograms(self, counts: Mapping[str, list[int]], step: int) -> None:
        self.log(step, lambda: histograms(counts))

    @rank_zero_only
    def log_picture(self, key: str, path: Path, caption: str, step: int) -> None:
        self.log(step, lambda: {key: image(path, caption)})

    @rank_zero_only
    def finish(self, summary: Mapping[str, Any]) -> None:
        """Log the summary and finish the W&B run, so that the next run in this process has its own."""
        worker, self.worker = self.worker, None
        if worker is None:
            return
        others = {key: value for key, value in summary.items() if key != "metrics"}
        flat = {**summary["metrics"], **without_secrets(others), **self.step_columns(summary["iteration"])}
        code = 0 if summary["status"] in ("finished", "stopped", "pruned") else 1
        worker.submit(lambda: self.run.log({}, commit=True))  # or else the last row would overwrite the summary
        worker.submit(lambda: self.run.summary.update(flat)).add_done_callback(self.warn_of_failure)
        finished = worker.submit(lambda: self.run.finish(exit_code=code))
        worker.shutdown()
        try:
            finished.result(self.finish_timeout + GRACE_SECONDS)
        except TimeoutError:
            log.warning("W&B has not taken everything. To upload the rest: %s", upload_command(self.run))
        except Exception as error:
            self.warn(f"W&B fails at the end: {brief(error)}")
        if not finished.done() or finished.exception() is not None:
            teardown()

    def connect(self, worker: SerialWorker) -> str:
        """Start the W&B run; returns one line that says how that went."""
        started = worker.submit(self.start)
        try:
            self.run, line = started.result(self.init_timeout + GRACE_SECONDS)
        except TimeoutError:
            line = f"off (it does not answer within {self.init_timeout + GRACE_SECONDS:g} s)"
            teardown()
        except Exception as error:
            line = f"off ({brief(error)})"
        if self.run is None:
            worker.shutdown()
            self.worker = None
        return line

    def start(self) -> tuple[Any, str]:
        """The W&B run, or None where it is disabled; and a line with the mode and its reason."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # without a network its error reports fail loudly
        import wandb  # here, since the import is slow

        mode, reason = resolve_mode(wandb)
        if mode == "disabled":
            return None, f"off ({reason})"
        if mode != "offline":
            try:
                if has_key(wandb):
                    run = self.init(wandb, "online")
                    return run, f"online (there is an API key): {run.url}"
                reason = "no API key; wandb login takes one"
            except Exception as error:
                reason = brief(error)
                wandb.teardown()  # otherwise the failed attempt holds the id
                resolve_mode(wandb)
        run = self.init(wandb, "offline")
        return run, f"offline ({reason}). To upload it later: {upload_command(run)}"

    def init(self, wandb: Any, mode: str) -> Any:
        """A new W&B run, with its console output and prompts off."""
        settings = {
            "silent": True,
            "console": "off",
            "save_code": False,
            "disable_code": True,
            "disable_git": True,  # the config states the commit
            "x_disable_meta": without_secrets(sys.argv) != sys.argv,  # it contains the command line
            "init_timeout": self.init_timeout,
            "finish_timeout": self.finish_timeout,
            "finish_timeout_raises": True,
            "allow_val_change": True,  # a resumed run may have more iterations
        }
        fields = wandb.Settings.model_fields  # before 0.27 there is no finish_timeout
        run = wandb.init(
            **self.arguments,
            id=self.version,
            name=without_secrets(self.folder.name)[:LENGTH],
            dir=str(self.folder),
            config=without_secrets(self.config),
            mode=mode,
            resume="allow",
            reinit="create_new",  # never a run that other code has open
            settings=wandb.Settings(**{key: value for key, value in settings.items() if key in fields}),
        )
        run.define_metric("*", step_metric="images_seen")
        return run

    def log(self, iteration: int, values: Callable[[], dict[str, Any]]) -> None:
        """Submit a row. W&B merges all rows of one iteration into one."""
        if self.worker is None:
            return
        if self.worker.pending() > MAX_PENDING_ROWS:
            self.warn("W&B does not keep up and misses rows")
            return
        row = self.step_columns(iteration)
        logged = self.worker.submit(lambda: self.run.log({**row, **values()}, step=iteration))
        logged.add_done_callback(self.warn_of_failure)

    def step_columns(self, iteration: int) -> dict[str, int]:
        """The columns of every row."""
        return {"iteration": iteration, "images_seen": iteration * self.config["k"] * self.config["batch_size"]}

    def warn_of_failure(self, future: Future) -> None:
        if (error := future.exception()) is not None:
            self.warn(f"W&B fails: {brief(error)}")

    def warn(self, what: str) -> None:
        """Warn once per run; the run's own files are complete."""
        if not self.warned:
            self.warned = True
            log.warning("%s. The record in %s is complete without it.", what, shell_path(self.folder))


def upload_command(run: Any) -> str:
    """The command that uploads the run from disk; a resumed run is in more than one folder."""
    folder = Path(run.dir).parent
    if not folder.name.startswith("offline"):
        return f"wandb sync --include-online {shell_path(folder)}"
    return f"wandb sync {' '.join(map(shell_path, sorted(folder.parent.glob('offline-run-*'))))}"


def histograms(counts: Mapping[str, list[int]]) -> dict[str, Any]:
    """W&B histograms, such as "hist/d_real", of counts in equal bins."""
    from wandb import Histogram

    return {
        f"hist/{key.replace('/', '_')}": Histogram(np_histogram=(np.array(n), np.linspace(*range_of(key), len(n) + 1)))
        for key, n in counts.items()
    }


def image(path: Path, caption: str) -> Any:
    from wandb import Image

    return Image(str(path), caption=caption)


def shell_path(path: Path) -> str:
    """A path, quoted for a shell, relative to the working directory where possible."""
    path = Path(os.path.abspath(path))
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))
