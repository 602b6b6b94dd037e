"""A population from the command line to its end: its members' folders, its processes, and what is said of it.

    FOLDER/population.json            the members' names, and the status when all have ended
    FOLDER/loss=saturating,seed=0/    a run like any other, and so on

With several devices the members are split evenly among as many processes, which exchange nothing. The same command with
the same folder again, or `resume=FOLDER`, continues with the members that have not ended.
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ganduel.callback.objective import objective_of
from ganduel.data.base import Data
from ganduel.environment import rank_from_environment
from ganduel.errors import UserError, typed
from ganduel.factory.data import build_data, check_data
from ganduel.factory.gan import build_gan
from ganduel.population.members import first_member, members, number_of_members
from ganduel.population.memory import check, memory_per_member
from ganduel.population.processes import (
    MAX_PARAMS_FOR_MULTIPROCESS,
    number_of_params,
    number_of_processes,
    on_gpu,
    split_evenly,
    start,
    threads,
)
from ganduel.population.trainer import MemberSpec, train_members
from ganduel.run import app
from ganduel.run.explain import explain
from ganduel.run.lock import folder_lock
from ganduel.run.prepare import prepare_or_resume, resume
from ganduel.run.resume import Remaining, remaining_work, resumed_config
from ganduel.run.run import check_accelerator, check_batch, quiet
from ganduel.tracking.files import CONFIG, POPULATION
from ganduel.tracking.run_logger import write, write_config
from ganduel.tracking.secrets import without_secrets

try:
    import resource
except ImportError:  # not on Windows
    resource = None

log = logging.getLogger("ganduel")


def train_population(config: DictConfig, folder: Path) -> float | None:
    """Begin a population, or resume one. Returns the mean of the objective over its members, for a sweeper."""
    check_trainer(config.trainer)
    quiet()
    allow_files()
    with ExitStack() as locks:
        specs_of = requested_specs if config.resume is None else resumed_specs
        names, specs, params = specs_of(config, folder, locks)
        write_status(folder, names, {"status": "running", "reason": None})
        for spec in specs:
            write_config(spec.folder, spec.values)  # further processes read it
        if specs:
            try:
                count = number_of_processes(config.population.processes, config.trainer, len(specs), params)
                code = train_in_processes(specs, count, config)
            except BaseException as error:
                write_status(folder, names, {"status": "failed", "reason": explain(error) or repr(error)})
                raise
            if code is not None:
                reason = signal.Signals(code - 128).name
                write_status(folder, names, {"status": "stopped", "reason": reason})
                print(f"population {folder}: {reason}; resume it by {typed('resume', folder)}", file=sys.stderr)
                sys.exit(code)
    missing = {"status": "failed", "reason": "its process has ended without a summary", "metrics": {}}
    summaries = {name: app.read_summary(folder / name) or missing for name in names}
    report(folder, summaries)
    return mean_objective(config.objective, summaries)


def check_trainer(trainer: DictConfig) -> None:
    """Refuse what members cannot share."""
    if rank_from_environment() > 0 or "WORLD_SIZE" in os.environ:
        raise UserError("a population starts its own processes: give trainer.devices=8, and no launcher like torchrun.")
    if trainer.num_nodes != 1:
        raise UserError(
            f"trainer.num_nodes={trainer.num_nodes}: a population is on one machine. Give each other population.seeds."
        )
    if trainer.precision == "16-mixed":
        raise UserError("trainer.precision=16-mixed has a loss scale, which members cannot share. Use bf16-mixed.")
    check_accelerator(trainer)


def allow_files() -> None:
    """As many open files as the system lets a process have: each member holds one, the lock of its folder."""
    if resource is not None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def requested_specs(config: DictConfig, folder: Path, locks: ExitStack) -> tuple[list[str], list[MemberSpec], int]:
    """Names of all members, specs of those that have not ended, and how many parameters one has."""
    first = first_member(config).values
    params, data = check_members(config, first, number_of_members(config))
    requested, specs = members(config), []
    names = existing(folder) | dict.fromkeys(run.name for run in requested)
    for run in requested:
        path = folder / run.name
        lock = locks.enter_context(folder_lock(path))
        prepared = prepare_or_resume(run.config, path, run.values, run.choices, run.overrides)
        if prepared.summary is None:
            values = prepared.values
            specs.append(MemberSpec(run.name, values, path, prepared.checkpoint, lock))
            if values["data"] == first["data"]:
                check_data(values, data)
    return list(names), specs, params


def existing(folder: Path) -> dict[str, None]:
    """The names of members that the folder has already, in their order; each is that of a folder in it."""
    names = app.read_summary(folder).get("members")
    names = names if isinstance(names, list) else []  # a damaged list is none
    for name in names:
        if not isinstance(name, str) or (folder / name).resolve().parent != folder.resolve():
            path = folder / POPULATION
            raise UserError(f"{path} names the member {name!r}, which is no folder in {folder}. Nothing is resumed.")
    return dict.fromkeys(names)


def resumed_specs(config: DictConfig, folder: Path, locks: ExitStack) -> tuple[list[str], list[MemberSpec], int]:
    """The same of a population that has begun before."""
    names, specs = list(existing(folder)), []
    lost = [name for name in names if not (folder / name / CONFIG).is_file()]
    if lost or not names:
        command = f"… {typed('hydra.run.dir', folder)}"
        what = lost[0] if lost else "the names of its members"
        raise UserError(f"{folder} has lost {what}. The command that it began with makes it again: {command}.")
    overrides = list(HydraConfig.get().overrides.task)
    for name in names:
        path = folder / name
        lock = locks.enter_context(folder_lock(path))
        remaining, _ = remaining_work(path, resumed_config(path, config, overrides))
        if remaining is not Remaining.NOTHING:
            prepared = resume(config, path, overrides)
            specs.append(MemberSpec(name, prepared.values, path, prepared.checkpoint, lock))
    if not specs:
        raise UserError(f"all members of {folder} have ended. Give a larger trainer.max_steps to extend them.")
    params, _ = check_members(config, specs[0].values, len(specs))
    return names, specs, params


def write_status(folder: Path, names: Sequence[str], outcome: dict[str, Any]) -> None:
    """Put on record what the folder holds, and how it stands."""
    write(folder / POPULATION, json.dumps({"members": list(names), **without_secrets(outcome)}, indent=2) + "\n")


def check_members(config: DictConfig, values: dict[str, Any], count: int) -> tuple[int, Data]:
    """Say what so many members like this one take, and refuse more than fit.

    Returns how many parameters each has, and its data.
    """
    data = build_data(values)
    check_data(values, data)
    gan = build_gan(values, check_batch(values, data))
    params = number_of_params(gan.generator, gan.discriminator)
    processes = number_of_processes(config.population.processes, config.trainer, count, params)
    gpu = on_gpu(values["trainer"])
    check(count, memory_per_member(gan), torch.device("cuda" if gpu else "cpu"), processes)
    if not gpu and params > MAX_PARAMS_FOR_MULTIPROCESS:
        log.info(
            "members of %s parameters keep the cores busy: one after another they take 1 to 1.4 times as long",
            f"{params:,}",
        )
    return params, data


def train_in_processes(specs: Sequence[MemberSpec], count: int, config: DictConfig) -> int | None:
    """Train the members, in as many processes; the exit code that a signal asks for, if one came."""
    parts = split_evenly(specs, count)
    if count > 1:
        log.info("%d processes share them, and the bar is the first's; population.processes=1: one trains all", count)
    processes = [start(part, i, count, config.trainer) for i, part in enumerate(parts) if i > 0]
    cores = torch.get_num_threads()
    torch.set_num_threads(threads(count))
    try:
        return train_members(parts[0], processes)
    except BaseException as error:
        for process in processes:
            process.terminate()
        if not isinstance(error, KeyboardInterrupt):
            raise
        return 128 + signal.SIGINT
    finally:
        for process in processes:
            process.wait()
        torch.set_num_threads(cores)


def report(folder: Path, summaries: dict[str, dict[str, Any]]) -> None:
    """Say how the members have ended, and put it on record.

    Raises:
        UserError: one has not come to its end.
    """
    failed = app.report(f"population {folder}", "members", folder, summaries)
    reason = f"{failed} of {len(summaries)} members did not finish" if failed else None
    write_status(folder, list(summaries), {"status": "failed" if failed else "finished", "reason": reason})
    if failed:
        raise UserError(f"{reason}; the lines above say why.")


def mean_objective(objective: str | None, summaries: dict[str, dict[str, Any]]) -> float | None:
    return None if objective is None else fmean(objective_of(objective, summary) for summary in summaries.values())
