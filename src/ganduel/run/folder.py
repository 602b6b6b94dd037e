"""The folder of a run: its name, which no two runs share, and its removal if the run never began."""

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import count
from math import prod
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from ganduel.environment import rank_from_environment
from ganduel.errors import UserError, typed
from ganduel.run.explain import FOLDER_ERRORS, causes
from ganduel.tracking.secrets import without_secrets


def run_dir(resume: str | None, fresh: str) -> str:
    """The folder of a run: that of the run to resume, or a new one; a temporary one on ranks other than the first."""
    if rank_from_environment() > 0:
        return tempfile.mkdtemp(prefix=f"ganduel-rank{rank_from_environment()}-")
    return unused_name(fresh) if resume is None else checked_run(resume)


def unused_name(fresh: str) -> str:
    """The name, with a number appended if it is in use."""
    numbers = (n for n in count(2) if not Path(f"{fresh}-{n}").exists())
    return f"{fresh}-{next(numbers)}" if Path(fresh).exists() else fresh


def checked_run(resume: str) -> str:
    """The folder to resume; refused if it holds no run, before Hydra would create it."""
    if not Path(resume).is_dir():
        raise UserError(
            f"resume={resume} is not a folder. Give the folder of a run, such as runs/2026-01-31/12-00-00-…."
        )
    if not any((Path(resume) / name).is_file() for name in ("config.yaml", "population.json")):
        raise UserError(f"resume={resume} holds no run: it has no config.yaml. Give the folder of a run.")
    return resume


def one_or_many(seed: int, population: DictConfig) -> str:
    """The last part of a run's name: its seed, or "population"."""
    return "population" if is_population(population) else f"seed{seed}"


def is_population(population: DictConfig) -> bool:
    """Whether this part of a config asks for a population."""
    return population.seeds is not None or population.grid is not None


def one_folder(overrides: str) -> str:
    """The name of a sweep's run from its overrides: one level deep, and short enough for any file system."""
    name = overrides.replace("/", "_") or "run"
    whole = name.encode()
    return name if len(whole) <= 200 else f"{whole[:150].decode(errors='ignore')}-{sha256(whole).hexdigest()[:8]}"


class Folder(Callback):
    """Keeps track of the folder that Hydra is about to use in this process.

    Attributes:
        option: the option that chooses the folder.
        path: the folder of the run or of the sweep; None before there is one.
        created: the folders that are new, the innermost first.
        jobs: how many runs the sweep asks for; 0 where its sweeper decides as it goes.
        started: when the sweep began, in seconds since the epoch.
    """

    option: str = "hydra.run.dir"
    path: Path | None = None
    created: tuple[Path, ...] = ()
    jobs: int = 0
    started: float = 0.0

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Create the folder. If another run created one of that name in the same second, use the next name."""
        HydraConfig.instance().set_config(config)  # the name of the folder refers to it
        try:
            path = config.hydra.run.dir
            Folder.remember("hydra.run.dir", Path(path))
            written = cast(dict[str, Any], OmegaConf.to_container(config.hydra.run, resolve=False))["dir"]
            is_default = str(written).startswith("${run_dir:") and config.resume is None
            while not Folder.create(Path(path)) and is_default:
                path = unused_name(path)
            with flag_override(config, "readonly", False):
                config.hydra.run.dir = path
            Folder.path = Path(path)
        except (OSError, OmegaConfBaseException):
            return  # Hydra is about to raise the same error, where it can be explained

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        Folder.remember("hydra.sweep.dir", Path(config.hydra.sweep.dir))
        Folder.jobs, Folder.started = number_of_jobs(config.hydra), time.time()
        hide_secrets(config)

    @staticmethod
    def remember(option: str, path: Path) -> None:
        """Store the folder, and which of its parents do not exist yet."""
        Folder.option, Folder.path = option, path
        Folder.created = tuple(folder for folder in (path, *path.parents) if not folder.exists())

    @staticmethod
    def create(path: Path) -> bool:
        """Create the folder; False if it exists already."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir()
        except FileExistsError:
            Folder.created = tuple(folder for folder in Folder.created if folder != path)
            return False
        Folder.created = (path, *(folder for folder in Folder.created if folder != path and folder in path.parents))
        return True

    @staticmethod
    def sweep() -> Path | None:
        """The folder of this process's sweep; None if it runs no sweep."""
        return Folder.path if Folder.option == "hydra.sweep.dir" else None


def number_of_jobs(hydra: DictConfig) -> int:
    """How many runs Hydra's own sweeper makes of the command line; 0 for any other sweeper."""
    if not hydra.sweeper["_target_"].endswith(".BasicSweeper"):
        return 0
    params = [f"{key}={values}" for key, values in (hydra.sweeper.params or {}).items()]
    overrides = OverridesParser.create().parse_overrides([*params, *hydra.overrides.task])
    last = {override.get_key_element(): override for override in overrides}
    return prod(len(list(o.sweep_string_iterator())) for o in last.values() if o.is_discrete_sweep())


def hide_secrets(config: DictConfig) -> None:
    """Hide the secrets in a sweep's config, which Hydra is about to save; its runs have their own."""
    parts = cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))
    with flag_override(config, ["struct", "readonly"], False):
        for key, part in parts.items():
            if key != "hydra" and (hidden := without_secrets(part)) != part:
                config[key] = hidden


def has_begun(run: Path) -> bool:
    """Whether the run, or a member of the population, has weights or rows of metrics."""
    return any(any(run.glob(name)) for name in ("checkpoints/*.ckpt", "metrics.jsonl", "*/checkpoints/*.ckpt"))


@contextmanager
def writing_to(run: Path) -> Iterator[None]:
    """Explain an error of the run's files: the folder is gone, or takes no more; a run with a checkpoint can go on.

    Raises:
        UserError: there was such an error.
    """
    try:
        yield
    except Exception as error:
        cause = next((cause for cause in causes(error) if isinstance(cause, OSError)), None)
        if cause is not None and not run.is_dir():
            advice = "If it was moved, resume=FOLDER goes on from its latest checkpoint there."
            raise UserError(f"{run} was moved or deleted during training. {advice}") from error
        if cause is not None and cause.errno in FOLDER_ERRORS and any(run.glob("checkpoints/[!.]*.ckpt")):
            advice = f"Once that is mended, {typed('resume', run)} goes on from the latest checkpoint."
            raise UserError(f"{cause.strerror}: {cause.filename or run}. {advice}") from error
        raise


def tidy() -> None:
    """Remove the new folders of a run that has not begun, or of a sweep without runs."""
    if Folder.path is None or Folder.path not in Folder.created or not Folder.path.is_dir():
        return
    runs = [entry for entry in Folder.path.iterdir() if entry.is_dir()] if Folder.sweep() else []
    if runs or has_begun(Folder.path):
        return
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, logging.FileHandler):
            logging.getLogger().removeHandler(handler)
            handler.close()
    shutil.rmtree(Folder.path, ignore_errors=True)
    for folder in Folder.created[1:]:
        with suppress(OSError):  # it may hold other runs by now
            folder.rmdir()
