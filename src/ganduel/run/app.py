"""The program around a run: what Hydra must know beforehand, and what a user sees when something is wrong.

Imports nothing heavy, so that a typo is answered at once.
"""

import json
import logging
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ganduel.run import schema
from ganduel.run.explain import explain, folder_trouble
from ganduel.run.folder import Folder, one_folder, one_or_many, run_dir, tidy
from ganduel.run.help import choices, option

log = logging.getLogger("ganduel")

# Those of Hydra that have a long name.
FLAGS = ("help", "hydra-help", "version", "cfg", "resolve", "package", "run", "multirun", "shell-completion",
         "config-path", "config-name", "config-dir", "experimental-rerun", "info")  # fmt: skip


def prepare() -> None:
    """Make schema and resolvers known, let errors reach `run` as they are, and find a user's modules from here."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.path.append(os.getcwd())
    sys.argv[1:] = flags_first(sys.argv[1:])
    schema.register()
    OmegaConf.register_new_resolver("run_dir", run_dir, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("one_folder", one_folder, replace=True)
    OmegaConf.register_new_resolver("one_or_many", one_or_many, replace=True)
    OmegaConf.register_new_resolver("option", option, replace=True)
    OmegaConf.register_new_resolver("choices", choices, replace=True)


def flags_first(words: Sequence[str]) -> list[str]:
    """The words of a command with its overrides last: argparse takes them only if no flag is between them."""
    overrides = [word for word in words if not word.startswith("-") and ("=" in word or word.startswith("~"))]
    return [word for word in words if word not in overrides] + overrides


def unknown_flag(words: Sequence[str]) -> str | None:
    """In one line, that a word with dashes is none of Hydra's flags, which may be shortened; None if there is none."""
    for word in words:
        name, equals, _ = word.removeprefix("--").partition("=")
        if word.startswith("--") and not any(flag.startswith(name) for flag in FLAGS):
            advice = f"Options have no dashes: {word[2:]}" if equals else "Options are written as name=value"
            return f"--{name} is no flag. {advice}. See --help."
    return None


def run(main: Callable[[], Any]) -> None:
    """Run Hydra's main function; what the user got wrong becomes one line and exit code 1."""
    if (message := unknown_flag(sys.argv[1:])) is not None:
        fail(message)
    signal.signal(signal.SIGTERM, pass_on)
    try:
        main()
        report_sweep()
    except KeyboardInterrupt:
        tidy()
        fail("interrupted before training began.", code=130)
    except SystemExit as ended:
        if ended.code:
            report_sweep()
        raise
    except Exception as error:
        message = explain(error) or folder_trouble(error, Folder.option, Folder.path)
        failed = report_sweep()
        if Terminated.signum is not None:
            sys.exit(128 + Terminated.signum)
        if failed:
            fail(f"{failed} of the sweep's runs did not finish; the lines above say why.")
        if message is None:
            traceback.print_exception(error)
            fail("this is a fault of the program; please report it with the lines above.")
        tidy()
        fail(message)


def job(train: Callable[[DictConfig], float | None], config: DictConfig) -> float | None:
    """Run one job of Hydra's. In a sweep its failure is noted and the others go on; alone, it ends the program."""
    sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
    if sweeping:
        signal.signal(signal.SIGTERM, terminated)
    try:
        return train(config)
    except Exception as error:
        message = explain(error)
        if sweeping:
            note_failure(Path(HydraConfig.get().runtime.output_dir), message or f"{type(error).__name__}: {error}")
            raise
        if message is None:
            raise
        tidy()
        fail(message)


class Terminated:
    """The signal that this process has passed on to the processes of its sweep, if it has."""

    signum: int | None = None


def pass_on(signum: int, frame: FrameType | None) -> None:
    """End; but where a sweep runs side by side let its runs end first, each with a checkpoint."""
    workers = children() if Folder.sweep() is not None and Terminated.signum is None else []
    Terminated.signum = signum
    for worker in workers:
        with suppress(ProcessLookupError):
            os.kill(worker, signum)
    if not workers:
        terminated(signum, frame)


def children() -> list[int]:
    """The processes that this one has started, as far as the system tells."""
    return [int(pid) for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]


def terminated(signum: int, frame: FrameType | None) -> None:
    """End the whole sweep, from wherever it is outside of training."""
    sys.exit(128 + signum)


def note_failure(run: Path, reason: str) -> None:
    """Say in the log why a sweep's run failed, and in its folder too where it came to no summary of its own."""
    log.error("error: %s", reason)
    if not read_summary(run):
        summary = {
            "status": "failed",
            "reason": reason,
            "iteration": 0,
            "seconds": 0.0,
            "peak_memory": {},
            "metrics": {},
        }
        (run / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def fail(message: str, code: int = 1) -> NoReturn:
    """Print the one line and leave."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    sys.exit(code)


def report_sweep() -> int:
    """Print one line on this process's sweep, and one for each run that did not finish; returns their number."""
    folder = Folder.sweep()
    if folder is None:
        return 0
    runs = sorted(log.parent for log in folder.glob("*/train.log"))
    if not runs:
        return 0
    return report(f"sweep {folder}", "runs", folder, {run.name: read_summary(run) for run in runs})


def report(title: str, what: str, folder: Path, summaries: Mapping[str, Mapping[str, Any]]) -> int:
    """Print how those in the folder have ended, by their summaries; returns how many did not finish."""
    failed = {name: summary for name, summary in summaries.items() if summary.get("status") != "finished"}
    print(f"{title}: {len(summaries) - len(failed)} of {len(summaries)} {what} finished", file=sys.stderr)
    for name, summary in failed.items():
        print(f"  {name}: {summary.get('status', 'no summary')}: {summary.get('reason')}", file=sys.stderr)
    if len(summaries) > 1:
        print(f"  ganduel compare {shlex.quote(str(folder))} -o duel.html", file=sys.stderr)
    return len(failed)


def read_summary(run: Path) -> dict[str, Any]:
    """The summary of a run or a population, empty if it has none."""
    paths = [path for name in ("summary.json", "population.json") if (path := run / name).is_file()]
    return json.loads(paths[0].read_text(encoding="utf-8")) if paths else {}
