"""Where a run's folder is, that no two runs get the same one, and that none is left of a run that never began."""

import logging
import shutil
import tempfile
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, flag_override
from omegaconf.errors import OmegaConfBaseException

from ganduel.environment import rank_from_environment
from ganduel.errors import UserError


def run_dir(resume: str | None, fresh: str) -> str:
    """The folder of a run: that of the run to resume, or a fresh one; ranks but the first keep out of the way."""
    if rank_from_environment() > 0:
        return tempfile.mkdtemp(prefix=f"ganduel-rank{rank_from_environment()}-")
    return free(fresh) if resume is None else existing(resume)


def free(fresh: str) -> str:
    """The name, with a number behind it if it is taken."""
    taken = (n for n in count(2) if not Path(f"{fresh}-{n}").exists())
    return f"{fresh}-{next(taken)}" if Path(fresh).exists() else fresh


def existing(resume: str) -> str:
    """The folder to resume; refused here if it holds no run, before Hydra makes it."""
    if not Path(resume).is_dir():
        raise UserError(
            f"resume={resume} is not a folder. Give the folder of a run, such as runs/2026-01-31/12-00-00-…."
        )
    if not any((Path(resume) / name).is_file() for name in ("config.yaml", "population.json")):
        raise UserError(f"resume={resume} holds no run: it has no config.yaml. Give the folder of a run.")
    return resume


def one_or_many(seed: int, population: DictConfig) -> str:
    """The end of a run's name: its seed, or that it is a population."""
    return "population" if is_population(population) else f"seed{seed}"


def is_population(population: DictConfig) -> bool:
    """Whether that part of a config asks for one."""
    return population.seeds is not None or population.grid is not None


def one_folder(overrides: str) -> str:
    """The name of a sweep's run from its overrides: one level deep, and short enough for any file system."""
    name = overrides.replace("/", "_") or "run"
    whole = name.encode()
    return name if len(whole) <= 200 else f"{whole[:150].decode(errors='ignore')}-{sha256(whole).hexdigest()[:8]}"


class Folder(Callback):
    """Hydra tells it of the folder that this process is about to use.

    Attributes:
        option: the option that chooses the folder.
        path: the folder of the run or of the sweep; None before there is one.
        made: those folders that are new, the innermost first.
    """

    option: str = "hydra.run.dir"
    path: Path | None = None
    made: tuple[Path, ...] = ()

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make the folder. Of two runs that chose the same name in the same second one finds it made and moves on."""
        HydraConfig.instance().set_config(config)  # the name of the folder refers to it
        try:
            wanted = config.hydra.run.dir
            Folder.note("hydra.run.dir", Path(wanted))
            ours = str(config.hydra.run._get_node("dir")._value()).startswith("${run_dir:") and config.resume is None
            while not Folder.claim(Path(wanted)) and ours:
                wanted = free(wanted)
            with flag_override(config, "readonly", False):
                config.hydra.run.dir = wanted
            Folder.path = Path(wanted)
        except (OSError, OmegaConfBaseException):
            return  # Hydra is about to raise the same again, where it can be answered

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        Folder.note("hydra.sweep.dir", Path(config.hydra.sweep.dir))

    @staticmethod
    def note(option: str, path: Path) -> None:
        """Remember the folder, and which of it are not there yet."""
        Folder.option, Folder.path = option, path
        Folder.made = tuple(folder for folder in (path, *path.parents) if not folder.exists())

    @staticmethod
    def claim(path: Path) -> bool:
        """Make the folder, or say that it is there already."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir()
        except FileExistsError:
            Folder.made = tuple(folder for folder in Folder.made if folder != path)
            return False
        Folder.made = (path, *(folder for folder in Folder.made if folder != path and folder in path.parents))
        return True

    @staticmethod
    def sweep() -> Path | None:
        """The folder of the sweep that this process has begun, if it has."""
        return Folder.path if Folder.option == "hydra.sweep.dir" else None


def has_begun(run: Path) -> bool:
    """Whether the run, or a member of the population, has something that is worth keeping: weights or rows."""
    return any(any(run.glob(name)) for name in ("checkpoints/*.ckpt", "metrics.jsonl", "*/checkpoints/*.ckpt"))


def tidy() -> None:
    """Remove the new folders of a run that has not begun, or of a sweep without runs."""
    if Folder.path is None or Folder.path not in Folder.made or not Folder.path.is_dir():
        return
    runs = [entry for entry in Folder.path.iterdir() if entry.is_dir()] if Folder.sweep() else []
    if runs or has_begun(Folder.path):
        return
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, logging.FileHandler):
            logging.getLogger().removeHandler(handler)
            handler.close()
    shutil.rmtree(Folder.path, ignore_errors=True)
    for folder in Folder.made[1:]:
        with suppress(OSError):  # others may be in it by now
            folder.rmdir()
