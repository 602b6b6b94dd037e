"""Weights & Biases: the live view of a run. The run's record on disk is complete without it.

    WANDB_MODE is set        it decides: online, offline or disabled
    there is a key           online
    no key, no server        offline: into FOLDER/wandb, for `wandb sync` to upload

One line says which it is, why, and how to upload later. W&B is never let to ask, and whatever becomes of it, training
goes on: its calls are made one after another in a thread of their own, which a run waits for, a bounded time, when it
begins and when it ends. W&B's step is the iteration; its x axis is `images_seen`, which every row carries.
"""

import logging
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from hashlib import sha256
from inspect import signature
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ganduel.tracking.base import Tracker, is_first_rank

log = logging.getLogger("ganduel")

ROOM = 10_000  # rows that may wait
GRACE = 15.0  # seconds that W&B may take beyond its own limits before it is given up
LENGTH, TAG_LENGTH = 128, 64  # of W&B's names and tags
NAMED = {"seed", "k", "loss", "penalty", "model", "data"}  # overrides that a group's name and tags state by themselves
UNNAMED = {"trainer", "callback", "tracking", "hydra", "log_every", "checkpoint_every", "resume", "objective"}
HIDDEN = "(hidden)"
SECRET = re.compile(r"passw|secret|token|credential|api_?key", re.IGNORECASE)


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
            log.info("W&B: %s.", self.begin(self.courier))

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
        plain = {**summary["metrics"], **{key: value for key, value in summary.items() if key != "metrics"}}
        code = 0 if summary["status"] in ("finished", "stopped") else 1
        courier.take(lambda: self.run.summary.update(plain)).add_done_callback(self.look)
        done = courier.take(lambda: self.run.finish(exit_code=code))
        courier.dismiss()
        try:
            done.result(self.finish_timeout + GRACE)
        except TimeoutError:
            folder = shown(Path(self.run.dir).parent)
            self.warn(f"has not taken everything; the rest: wandb sync --include-online {folder}")
        except Exception as error:
            self.warn(f"fails at the end: {brief(error)}")
        if not done.done():
            abandon()

    def begin(self, courier: "Courier") -> str:
        """Begin W&B's run, and say in one line how that went."""
        started = courier.take(self.start)
        try:
            self.run, line = started.result(self.init_timeout + GRACE)
        except TimeoutError:
            line = f"off, for it does not answer within {self.init_timeout + GRACE:g} s"
            abandon()
        except Exception as error:
            line = f"off, for it fails: {brief(error)}"
        if self.run is None:
            courier.dismiss()
            self.courier = None
        return line

    def start(self) -> tuple[Any, str]:
        """W&B's run, or None where it is disabled; and which of these it is and why."""
        import wandb  # here, since it takes its time

        mode = wandb.setup(wandb.Settings(silent=True)).settings.mode
        chosen = f"WANDB_MODE={mode}" if os.environ.get("WANDB_MODE") else f"W&B's settings say {mode}"
        if mode == "disabled":
            return None, f"off, for {chosen}"
        if mode == "offline":
            why = chosen
        else:
            try:
                if has_key(wandb):
                    run = self.init(wandb, "online")
                    return run, f"online at {run.url}"
                why = "there is no API key (wandb login takes one)"
            except Exception as error:
                why = brief(error)
        run = self.init(wandb, "offline")
        folders = sorted(Path(run.dir).parent.parent.glob("offline-run-*"))  # more than one of a resumed run
        return run, f"offline, for {why}; to upload it later: wandb sync {' '.join(map(shown, folders))}"

    def init(self, wandb: Any, mode: str) -> Any:
        """W&B's run, all of its noise off and none of its questions left."""
        settings = {
            "silent": True,
            "console": "off",
            "save_code": False,
            "disable_code": True,
            "disable_git": True,  # the config has the commit
            "init_timeout": self.init_timeout,
            "finish_timeout": self.finish_timeout,
            "finish_timeout_raises": True,
            "allow_val_change": True,  # a resumed run may have more iterations
        }
        known = wandb.Settings.model_fields  # before 0.27 there is no finish_timeout
        run = wandb.init(
            **self.arguments,
            id=self.version,
            name=self.folder.name[:LENGTH],
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
            self.warn("does not keep up; rows are left out")
            return
        when = {"iteration": iteration, "images_seen": iteration * self.config["k"] * self.config["batch_size"]}
        self.courier.take(lambda: self.run.log({**when, **values()}, step=iteration)).add_done_callback(self.look)

    def look(self, done: Future) -> None:
        if (error := done.exception()) is not None:
            self.warn(f"fails: {brief(error)}")

    def warn(self, what: str) -> None:
        """Say once that something is wrong; the run's own record has it all."""
        if not self.warned:
            self.warned = True
            log.warning("W&B %s. Training goes on, on record in %s.", what, shown(self.folder))


class Courier:
    """Does what it is given, in order, in a thread that holds up neither training nor the program's end."""

    def __init__(self) -> None:
        self.errands: Queue[tuple[Callable[[], Any], Future] | None] = Queue()
        Thread(target=self.work, name="ganduel-wandb", daemon=True).start()

    def take(self, call: Callable[[], Any]) -> Future:
        """Queue a call; the future has what becomes of it."""
        future: Future = Future()
        self.errands.put((call, future))
        return future

    def waiting(self) -> int:
        return self.errands.qsize()

    def dismiss(self) -> None:
        """End the thread once all is done."""
        self.errands.put(None)

    def work(self) -> None:
        while (errand := self.errands.get()) is not None:
            call, future = errand
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)


def abandon() -> None:
    """Let the program end without W&B, which otherwise waits for its own process then."""
    if "wandb" in sys.modules:
        leaving = Thread(target=sys.modules["wandb"].teardown, name="ganduel-wandb-teardown", daemon=True)
        leaving.start()
        leaving.join(1.0)


def has_key(wandb: Any) -> bool:
    """Whether W&B finds a key without asking for one; raises if it finds one that cannot be.

    That is, in the environment, its settings or ~/.netrc.
    """
    if "prompt" in signature(wandb.login).parameters:
        return wandb.login(prompt=False, verify=False)
    return bool(wandb.api.api_key)  # before 0.31


def group_name(config: Mapping[str, Any]) -> str:
    """Everything that names the run but its seed, such as "nonsaturating-r1-dcgan-mnist-batch_size=64".

    What only says where and how long it is computed, and how it is watched, does not name it.
    """
    overrides = (override.lstrip("+~") for override in config["run"]["overrides"])
    rest = [o for o in overrides if o.split("=")[0] not in NAMED and o.split("=")[0].split(".")[0] not in UNNAMED]
    name = "-".join([*names(config), *sorted(rest)]).replace("/", "_")
    return name if len(name) <= LENGTH else f"{name[: LENGTH - 9]}-{sha256(name.encode()).hexdigest()[:8]}"


def names(config: Mapping[str, Any]) -> list[str]:
    """The choices that name a run."""
    chosen = [config["run"]["choices"].get(group) for group in ("loss", "penalty", "model", "data")]
    k = config["k"]
    return [str(choice) for choice in chosen if choice not in (None, "none")] + ([] if k == 1 else [f"k{k}"])


def all_tags(config: Mapping[str, Any], more: Sequence[str]) -> list[str]:
    tags = [*names(config), f"seed{config['seed']}", *more]
    return list(dict.fromkeys(tag[:TAG_LENGTH] for tag in tags if tag))


def without_secrets(value: Any) -> Any:
    """The config with nothing in it that its key calls a secret."""
    if isinstance(value, Mapping):
        return {key: HIDDEN if SECRET.search(str(key)) else without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    if isinstance(value, str) and "=" in value and SECRET.search(value.split("=")[0]):
        return f"{value.split('=')[0]}={HIDDEN}"  # an override
    return value


def histograms(counts: Mapping[str, list[int]]) -> dict[str, Any]:
    """W&B's histograms, such as "hist/d_real", of counts in equal bins of [0, 1]."""
    from wandb import Histogram

    return {
        f"hist/{key.replace('/', '_')}": Histogram(np_histogram=(np.array(n), np.linspace(0, 1, len(n) + 1)))
        for key, n in counts.items()
    }


def picture(path: Path, caption: str) -> Any:
    from wandb import Image

    return Image(str(path), caption=caption)


def brief(error: BaseException) -> str:
    """What an error says, in one line of bounded length."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "…"


def shown(path: Path) -> str:
    """A folder as one would type it."""
    path = Path(os.path.abspath(path))
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))
