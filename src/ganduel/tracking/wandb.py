"""Weights & Biases: the live view of a run. The run's record on disk is complete without it.

    WANDB_MODE is set        it decides: online, offline or disabled
    there is a key           online
    no key, no server        offline: into FOLDER/wandb, for `wandb sync` to upload

One line says which it is, why, and how to upload later. W&B never gets to ask a question, and whatever becomes
of it, training goes on: its calls are made one after another in a thread of their own, which a run waits for when it
begins and when it ends, a bounded time. W&B's step is the iteration; its x axis is `images_seen`, which every row has.
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

from ganduel.tracking.base import Tracker, is_first_rank
from ganduel.tracking.files import range_of
from ganduel.tracking.run_name import LENGTH, all_tags, group_name, without_secrets
from ganduel.tracking.wandb_session import brief, enter, has_key, leave
from ganduel.tracking.worker_thread import Courier

log = logging.getLogger("ganduel")

ROOM = 10_000  # rows that may wait
GRACE = 20.0  # seconds that W&B may take beyond its own limits before it is given up


class Wandb(Tracker):
    """One run of W&B's, of the same id as ours; a resumed run goes on with it.

    Args:
        folder: the run's folder.
        config: the run's resolved config.
        project: W&B's project.
        entity: the user or team it belongs to; None: the key's own.
        group: what W&B averages over; None: everything that names the run but its seed.
        tags: more tags, besides the run's loss form, penalty, model, data set and seed.
        init_timeout: seconds that the server has to answer, before the run goes on offline.
        finish_timeout: seconds that the server has at the end to take what it has not yet.
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
        self.courier: Courier | None = None
        if is_first_rank():
            self.courier = Courier()
            log.info("W&B: %s", self.begin(self.courier))

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return self.config["run"]["id"]

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self.log(metrics["iteration"] if step is None else step, lambda: dict(metrics))

    @rank_zero_only
    def log_histograms(self, counts: Mapping[str, list[int]], step: int) -> None:
        self.log(step, lambda: histograms(counts))

    @rank_zero_only
    def log_picture(self, key: str, path: Path, caption: str, step: int) -> None:
        self.log(step, lambda: {key: picture(path, caption)})

    @rank_zero_only
    def finish(self, summary: Mapping[str, Any]) -> None:
        """Hand over the summary and end W&B's run, so that the next one in this process has its own."""
        courier, self.courier = self.courier, None
        if courier is None:
            return
        rest = {key: value for key, value in summary.items() if key != "metrics"}
        plain = {**summary["metrics"], **rest, **self.when(summary["iteration"])}
        code = 0 if summary["status"] in ("finished", "stopped") else 1
        courier.take(lambda: self.run.log({}, commit=True))  # or else the last row would overwrite the summary
        courier.take(lambda: self.run.summary.update(plain)).add_done_callback(self.look)
        done = courier.take(lambda: self.run.finish(exit_code=code))
        courier.dismiss()
        try:
            done.result(self.finish_timeout + GRACE)
        except TimeoutError:
            log.warning("W&B has not taken everything. To upload the rest: %s", upload(self.run))
        except Exception as error:
            self.warn(f"W&B fails at the end: {brief(error)}")
        if not done.done() or done.exception() is not None:
            leave()

    def begin(self, courier: Courier) -> str:
        """Begin W&B's run, and say in one line how that went."""
        started = courier.take(self.start)
        try:
            self.run, line = started.result(self.init_timeout + GRACE)
        except TimeoutError:
            line = f"off (it does not answer within {self.init_timeout + GRACE:g} s)"
            leave()
        except Exception as error:
            line = f"off ({brief(error)})"
        if self.run is None:
            courier.dismiss()
            self.courier = None
        return line

    def start(self) -> tuple[Any, str]:
        """W&B's run, or None where it is disabled; and which of these it is and why."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # its reports on itself fail loudly without a network
        import wandb  # here, since it takes its time

        mode, why = enter(wandb)
        if mode == "disabled":
            return None, f"off ({why})"
        if mode != "offline":
            try:
                if has_key(wandb):
                    run = self.init(wandb, "online")
                    return run, f"online (there is an API key): {run.url}"
                why = "no API key; wandb login takes one"
            except Exception as error:
                why = brief(error)
                wandb.teardown()  # or else the attempt holds the id
                enter(wandb)
        run = self.init(wandb, "offline")
        return run, f"offline ({why}). To upload it later: {upload(run)}"

    def init(self, wandb: Any, mode: str) -> Any:
        """W&B's run, all of its noise off and none of its questions left."""
        settings = {
            "silent": True,
            "console": "off",
            "save_code": False,
            "disable_code": True,
            "disable_git": True,  # the config has the commit
            "x_disable_meta": without_secrets(sys.argv) != sys.argv,  # the command line is in there
            "init_timeout": self.init_timeout,
            "finish_timeout": self.finish_timeout,
            "finish_timeout_raises": True,
            "allow_val_change": True,  # a resumed run may have more iterations
        }
        known = wandb.Settings.model_fields  # before 0.27 there is no finish_timeout
        run = wandb.init(
            **self.arguments,
            id=self.version,
            name=without_secrets(self.folder.name)[:LENGTH],
            dir=str(self.folder),
            config=without_secrets(self.config),
            mode=mode,
            resume="allow",
            reinit="create_new",  # never a run that something else has open
            settings=wandb.Settings(**{key: value for key, value in settings.items() if key in known}),
        )
        run.define_metric("*", step_metric="images_seen")
        return run

    def log(self, iteration: int, values: Callable[[], dict[str, Any]]) -> None:
        """Send a row on its way. All that is logged of one iteration becomes one row of W&B's."""
        if self.courier is None:
            return
        if self.courier.waiting() > ROOM:
            self.warn("W&B does not keep up and misses rows")
            return
        row = self.when(iteration)
        self.courier.take(lambda: self.run.log({**row, **values()}, step=iteration)).add_done_callback(self.look)

    def when(self, iteration: int) -> dict[str, int]:
        """The columns that every row has."""
        return {"iteration": iteration, "images_seen": iteration * self.config["k"] * self.config["batch_size"]}

    def look(self, done: Future) -> None:
        if (error := done.exception()) is not None:
            self.warn(f"W&B fails: {brief(error)}")

    def warn(self, what: str) -> None:
        """Say once that something is wrong; the run's own record has it all."""
        if not self.warned:
            self.warned = True
            log.warning("%s. The record in %s is complete without it.", what, shown(self.folder))


def upload(run: Any) -> str:
    """The command that uploads what is on disk of the run; a resumed run is in more than one folder."""
    folder = Path(run.dir).parent
    if not folder.name.startswith("offline"):
        return f"wandb sync --include-online {shown(folder)}"
    return f"wandb sync {' '.join(map(shown, sorted(folder.parent.glob('offline-run-*'))))}"


def histograms(counts: Mapping[str, list[int]]) -> dict[str, Any]:
    """W&B's histograms, such as "hist/d_real", of counts in equal bins."""
    from wandb import Histogram

    return {
        f"hist/{key.replace('/', '_')}": Histogram(np_histogram=(np.array(n), np.linspace(*range_of(key), len(n) + 1)))
        for key, n in counts.items()
    }


def picture(path: Path, caption: str) -> Any:
    from wandb import Image

    return Image(str(path), caption=caption)


def shown(path: Path) -> str:
    """A folder as one would type it."""
    path = Path(os.path.abspath(path))
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))
