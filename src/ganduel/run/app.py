"""The command line: set-up before Hydra, exit codes, and error messages in one line.

Imports neither torch nor Lightning, so that a typo is answered at once.
"""

import json
import logging
import os
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ganduel.errors import UserError, quoted
from ganduel.run import schema
from ganduel.run.explain import explain, folder_error, trace
from ganduel.run.folder import Folder, one_folder, one_or_many, run_dir, tidy
from ganduel.run.help import page
from ganduel.tracking.secrets import without_secrets

log = logging.getLogger("ganduel")

# Hydra's long flags.
FLAGS = ("help", "hydra-help", "version", "cfg", "resolve", "package", "run", "multirun", "shell-completion",
         "config-path", "config-name", "config-dir", "experimental-rerun", "info")  # fmt: skip

PATHS = ("resume", "data.dir", "hydra.run.dir", "hydra.sweep.dir")  # options whose value is a path

# Signals that end the program: that of schedulers, and that of a terminal which is closed.
ENDING = (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))


def prepare() -> None:
    """Register what configs need, and put the command line in the form that Hydra takes."""
    register()
    sys.argv[1:] = flags_first(map(with_quoted_path, sys.argv[1:]))


def register() -> None:
    """Register schema and resolvers, let errors reach `run` unchanged, and make user modules here importable."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    if (folder := os.getcwd()) not in sys.path:
        sys.path.append(folder)
    schema.register()
    OmegaConf.register_new_resolver("run_dir", run_dir, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("one_folder", one_folder, replace=True)
    OmegaConf.register_new_resolver("one_or_many", one_or_many, replace=True)
    OmegaConf.register_new_resolver("help", page, replace=True)


def with_quoted_path(argument: str) -> str:
    """The argument with its value in quotes, if it is a path that Hydra cannot parse: sweeps have `k=2,seed=3`."""
    key, _, value = argument.partition("=")
    is_text = os.path.exists(value) or ("=" in value and "${" not in value and value[:1] not in ("'", '"'))
    return f"{key}={quoted(value)}" if key in PATHS and is_text else argument


def flags_first(arguments: Iterable[str]) -> list[str]:
    """The arguments with overrides last: argparse takes overrides only if no flag is between them."""
    arguments = list(arguments)
    overrides = [a for a in arguments if not a.startswith("-") and ("=" in a or a.startswith("~"))]
    return [argument for argument in arguments if argument not in overrides] + overrides


def unknown_flag(arguments: Sequence[str]) -> str | None:
    """The line for the first argument with dashes that is not a flag of Hydra, or a prefix of one; None without."""
    for argument in arguments:
        name, equals, _ = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and not any(flag.startswith(name) for flag in FLAGS):
            advice = f"Options have no dashes: {argument[2:]}" if equals else "Options are written as name=value"
            return f"--{name} is no flag. {advice}. See --help."
    return None


def swept_secret(arguments: Sequence[str]) -> str | None:
    """The line for a secret among the options of a sweep: Hydra writes them to files, and names folders by them."""
    for argument in arguments if {"-m", "--multirun"} & set(arguments) else ():
        if without_secrets(argument) != argument:
            name = argument.partition("=")[0]
            return f"{name} may be a secret, and options name the folders of a sweep: type {name}='${{oc.env:NAME}}'."
    return None


def run(main: Callable[[], Any]) -> None:
    """Run Hydra's main function; an error of the user becomes one line and exit code 1."""
    if (message := unknown_flag(sys.argv[1:]) or swept_secret(sys.argv[1:])) is not None:
        fail(message)
    for signum in ENDING:
        if signal.getsignal(signum) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(signum, forward_signal)
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
        message = explain(error)
        lines = trace(error)
        if message is None and (message := folder_error(error, Folder.option, Folder.path)) is not None:
            lines = ""
        failed = report_sweep()
        if Terminated.signum is not None:
            sys.exit(128 + Terminated.signum)
        if failed:
            fail(f"{failed} of the sweep's runs did not finish; the lines above say why.")
        print(lines, end="", file=sys.stderr)
        if message is None:
            fail("this is a fault of the program; please report it with the lines above.")
        tidy()
        fail(message)


def job(train: Callable[[DictConfig], float | None], config: DictConfig) -> float | None:
    """Run one Hydra job. In a sweep its failure is recorded and the other jobs run; alone, it ends the program."""
    sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
    if HydraConfig.get().job.chdir:
        os.chdir(HydraConfig.get().runtime.cwd)
        log.warning("hydra.job.chdir is not followed: a run writes to its folder anyway, and relative paths stay valid")
    if sweeping:
        for signum in ENDING:
            if signal.getsignal(signum) is forward_signal:
                signal.signal(signum, exit_on_signal)
    try:
        refuse_hidden(
            Path(source.path) for source in HydraConfig.get().runtime.config_sources if source.schema == "file"
        )
        return train(config)
    except Exception as error:
        message = explain(error)
        if sweeping:
            folder = Path(HydraConfig.get().runtime.output_dir)
            record_failure(folder, message or f"{type(error).__name__}: {error}", trace(error))
            raise
        if message is None:
            raise
        print(trace(error), end="", file=sys.stderr)
        tidy()
        fail(message)


def refuse_hidden(folders: Iterable[Path]) -> None:
    """Refuse a config file of the user's that is never read, since a built-in one has its name: Hydra takes the first.

    Args:
        folders: those with config files, in Hydra's order; the built-in one is the first.
    """
    builtin, *others = folders
    names = [path.relative_to(builtin) for path in sorted(builtin.rglob("*.yaml"))]
    for path, name in ((folder / name, name) for folder in others for name in names):
        if path.is_file() and path.read_bytes() != (builtin / name).read_bytes():
            advice = f"Rename it, to {name.with_name(f'my_{name.name}')} for instance."
            raise UserError(f"{path} is never read: ganduel has a {name} of its own, which comes first. {advice}")


class Terminated:
    """The signal that this process has forwarded to the worker processes of its sweep; None before."""

    signum: int | None = None


def forward_signal(signum: int, frame: FrameType | None) -> None:
    """Exit; in a sweep with parallel runs let these end first, each with a checkpoint."""
    workers = children() if Folder.sweep() is not None and Terminated.signum is None else []
    Terminated.signum = signum
    for worker in workers:
        with suppress(ProcessLookupError):
            os.kill(worker, signum)
    if not workers:
        exit_on_signal(signum, frame)


def children() -> list[int]:
    """The child processes of this one, where /proc lists them."""
    return [int(pid) for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]


def exit_on_signal(signum: int, frame: FrameType | None) -> None:
    """End the whole sweep, whatever it does outside of training."""
    sys.exit(128 + signum)


def record_failure(run: Path, reason: str, lines: str = "") -> None:
    """Log why a run of a sweep failed, below the lines of its traceback; write a summary if its folder has none."""
    reason = without_secrets(reason)
    log.error("%serror: %s", lines, reason)
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
    """Print the line and exit."""
    print(f"error: {without_secrets(message)}", file=sys.stderr, flush=True)
    sys.exit(code)


def report_sweep() -> int:
    """Print a line about this process's sweep, and one for each run that did not finish; returns their number."""
    folder = Folder.sweep()
    if folder is None:
        return 0
    logs = sorted(folder.glob("*/train.log"))
    if not logs:
        return 0
    left = Folder.jobs - sum(log.stat().st_mtime >= Folder.started for log in logs)
    return report(f"sweep {folder}", "runs", folder, {log.parent.name: read_summary(log.parent) for log in logs}, left)


def report(title: str, what: str, folder: Path, summaries: Mapping[str, Mapping[str, Any]], left: int = 0) -> int:
    """Print how the runs in the folder have ended, by their summaries, and how many are left that have not begun.

    Returns the number of those that did not finish.
    """
    counts = Counter(summary.get("status") for summary in summaries.values())
    failed = {name: s for name, s in summaries.items() if s.get("status") not in ("finished", "pruned")}
    others = {"pruned": counts["pruned"], "not begun": left}
    rest = "".join(f", {number} {how}" for how, number in others.items() if number > 0)
    total = len(summaries) + max(0, left)
    print(f"{title}: {counts['finished']} of {total} {what} finished{rest}", file=sys.stderr)
    for name, summary in failed.items():
        print(f"  {name}: {summary.get('status', 'no summary')}: {summary.get('reason')}", file=sys.stderr)
    if len(summaries) > 1:
        print(f"  ganduel compare {shlex.quote(str(folder))} -o duel.html", file=sys.stderr)
    return len(failed)


def read_summary(run: Path) -> dict[str, Any]:
    """The summary of a run or a population, empty if it has none or a damaged one: it is written again at the end."""
    paths = [path for name in ("summary.json", "population.json") if (path := run / name).is_file()]
    try:
        summary = json.loads(paths[0].read_text(encoding="utf-8")) if paths else {}
    except (ValueError, RecursionError):  # not JSON, or not UTF-8
        return {}
    return summary if isinstance(summary, dict) else {}
