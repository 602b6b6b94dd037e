"""The program around a run: what Hydra must know beforehand, and what a user sees when something is wrong.

Imports nothing heavy, so that a typo is answered at once.
"""

import json
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ganduel import schema
from ganduel.explain import explain

log = logging.getLogger("ganduel")


def prepare() -> None:
    """Make schema and resolvers known, let errors reach `run` as they are, and find a user's modules from here."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.path.append(os.getcwd())
    schema.register()
    OmegaConf.register_new_resolver("run_dir", run_dir, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("one_folder", one_folder, replace=True)


def run_dir(resume: str | None, fresh: str) -> str:
    """The folder of a run: that of the run to resume, or a fresh one; ranks but the first keep out of the way."""
    if rank() > 0:
        return tempfile.mkdtemp(prefix=f"ganduel-rank{rank()}-")
    if resume is not None:
        return resume
    taken = (n for n in count(2) if not Path(f"{fresh}-{n}").exists())
    return f"{fresh}-{next(taken)}" if Path(fresh).exists() else fresh


def one_folder(overrides: str) -> str:
    """The name of a sweep's run from its overrides: one level deep, and short enough for any file system."""
    name = overrides.replace("/", "_") or "run"
    return name if len(name.encode()) <= 200 else f"{name[:150]}-{sha256(name.encode()).hexdigest()[:8]}"


def rank() -> int:
    """This process's rank as its launcher states it, or some other number but 0 for a process that is not the first."""
    return max(int(os.environ.get(name) or 0) for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def run(main: Callable[[], Any]) -> None:
    """Run Hydra's main function; what the user got wrong becomes one line and exit code 1."""
    try:
        main()
        if Sweep.folder is not None:
            report_sweep(Sweep.folder)
    except KeyboardInterrupt:
        fail("interrupted before training began.", code=130)
    except Exception as error:
        if Sweep.folder is not None and Sweep.folder.is_dir():
            report_sweep(Sweep.folder)
        message = explain(error)
        if message is None:
            traceback.print_exception(error)
        fail(message or "this is a fault of the program; please report it with the lines above.")


def job(train: Callable[[DictConfig], float | None], config: DictConfig) -> float | None:
    """Run one job of Hydra's. In a sweep its failure is noted and the others go on; alone, it ends the program."""
    try:
        return train(config)
    except Exception as error:
        message = explain(error)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            log.error("error: %s", message or f"{type(error).__name__}: {error}")
            raise
        if message is None:
            raise
        fail(message)


def fail(message: str, code: int = 1) -> None:
    """Print the one line and leave."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    sys.exit(code)


class Sweep(Callback):
    """Reports at the end of a sweep which of its runs did not finish, and why.

    Attributes:
        folder: that of the sweep that runs in this process, or None.
    """

    folder: Path | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        Sweep.folder = Path(config.hydra.sweep.dir)


def report_sweep(folder: Path) -> None:
    """Print one line on the sweep, and one for each of its runs that did not finish."""
    summaries = {run.name: read_summary(run) for run in sorted(folder.iterdir()) if run.is_dir()}
    failed = {name: summary for name, summary in summaries.items() if summary.get("status") != "finished"}
    print(f"sweep {folder}: {len(summaries) - len(failed)} of {len(summaries)} runs finished", file=sys.stderr)
    for name, summary in failed.items():
        print(f"  {name}: {summary.get('status', 'no summary')}: {summary.get('reason')}", file=sys.stderr)


def read_summary(run: Path) -> dict[str, Any]:
    """The summary of a run, empty if it has none."""
    path = run / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
