"""What the tests share: composed configs, tiny GANs and their runs, and the command line inside this process."""

import gc
import logging
import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, TextIO, cast

import hydra
import jaxtyping
import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import settings
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from ganduel.data import idx
from ganduel.data.mnist import ASSETS
from ganduel.run import app
from ganduel.run.folder import Folder

TRAIN = Path(__file__).parents[1] / "train.py"
TINY = ["tracking=none", "trainer.max_steps=2", "trainer.accelerator=cpu", "batch_size=8", "callback=[statistics]"]


@dataclass
class Outcome:
    """How a command ended: its exit code and all that it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> Iterator[Callable[..., Outcome]]:
    """A function that runs `python train.py …` in an empty folder, and leaves this process as it was."""
    monkeypatch.chdir(tmp_path)
    # Hydra composes the whole config once more only to see whether hydra.mode is in it; without, it goes by the flags.
    monkeypatch.setattr("hydra._internal.hydra.Hydra.get_mode", lambda *_, **__: None)
    path, root = list(sys.path), logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", [str(TRAIN), *words])
        capsys.readouterr()
        try:
            runpy.run_path(str(TRAIN), run_name="__main__")
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        finally:
            for handler in [h for h in root.handlers if h not in handlers]:
                root.removeHandler(handler)
                handler.close()
            root.setLevel(level)
            for signum in app.ENDING:
                signal.signal(signum, signal.SIG_DFL)
            GlobalHydra.instance().clear()
            HydraConfig.instance().cfg = None
            Folder.option, Folder.path, Folder.created = "hydra.run.dir", None, ()
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    yield run
    sys.path[:] = path


CONF = TRAIN.parent / "conf"

# No deadline: on a busy machine the first example of a test may take a second.
settings.register_profile("ganduel", deadline=None, max_examples=30)
settings.load_profile("ganduel")


os.environ.setdefault("OMP_NUM_THREADS", "1")  # of programs that tests start: each core has a worker of its own


def pytest_collection_finish() -> None:
    """What has been imported stays: the garbage collector need not look through a million objects each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny tensors gain nothing from threads, and sums come out in one order."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Of decoded images: the user's has none of the tests'."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GANDUEL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def read_once() -> Iterator[None]:
    """Files that most runs read are read once: the digits take 0.4 s to unzip, twenty config files 0.05 s to parse."""
    unzip, load = idx.read, OmegaConf.load
    unzipped = cache(unzip)
    parsed = cache(lambda text: load(StringIO(text)))

    def digits(path: Path, md5: str | None = None) -> torch.Tensor:
        return unzipped(path, md5).clone() if path.parent == ASSETS else unzip(path, md5)

    def config(file: TextIO) -> Any:
        try:
            return deepcopy(parsed(file.read()))
        except YAMLError:  # once more, as the line names the file
            file.seek(0)
            return load(file)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(idx, "read", digits)
        patched.setattr(OmegaConf, "load", config)
        yield


@pytest.fixture(autouse=True)
def same_global_state() -> Iterator[None]:
    """The global generator is left to torch's layers in tests; each test finds it in the same state."""
    torch.manual_seed(0)
    yield
    GlobalHydra.instance().clear()


@pytest.fixture(autouse=True)
def blocks_end_where_a_callback_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not by the clock, which on a busy machine ends them anywhere."""
    monkeypatch.setattr("ganduel.block.SECONDS", float("inf"))


@pytest.fixture
def untyped() -> Iterator[None]:
    """Calls are not type-checked, as in a user's process: for errors that beartype would raise first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@cache
def composed_choices(words: tuple[str, ...]) -> DictConfig:
    """The config of these choices of groups."""
    app.prepare()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("train", list(words))


@cache
def composed(words: tuple[str, ...]) -> dict[str, Any]:
    """The config of these words; composing takes 0.2 s, so groups are composed once and values set in a copy."""
    values = [word for word in words if word[0] not in "+~" and not (CONF / word.partition("=")[0]).is_dir()]
    config = deepcopy(composed_choices(tuple(word for word in words if word not in values)))
    for override in OverridesParser.create().parse_overrides(values):
        OmegaConf.update(config, override.key_or_group, override.value())
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))


@pytest.fixture(scope="session")
def compose() -> Callable[..., dict[str, Any]]:
    """A function from the command line's words to the resolved config, in plain containers."""
    return lambda *words: deepcopy(composed(words))


@pytest.fixture
def tiny(compose: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """As `compose`, for a GAN of networks so small that an iteration takes a millisecond or two."""
    small = ["model.generator.hidden=[8]", "model.discriminator.hidden=[8]", "model.generator.noise_dim=3"]
    return lambda *words: compose(*small, "batch_size=4", "trainer.accelerator=cpu", "trainer.max_steps=6", *words)


@pytest.fixture
def images() -> Any:
    """Twelve images of 2 by 3 pixels, all different, as a data set."""
    from ganduel.data.base import TensorData

    return TensorData(torch.arange(72, dtype=torch.uint8).mul(3).reshape(12, 1, 2, 3))


@pytest.fixture
def fit(tiny: Callable[..., dict[str, Any]], images: Any, tmp_path: Path) -> Callable[..., Any]:
    """A function that trains a tiny GAN with the given callbacks and loggers, and returns the Trainer."""
    from lightning.pytorch import Trainer  # here, as the process that hands out the tests need not wait for it
    from lightning.pytorch.callbacks import Checkpoint

    from ganduel.checkpoint_io import AtomicCheckpointIO
    from ganduel.factory.gan import build_gan
    from ganduel.run.run import quiet

    def fit(*words: str, callbacks: Sequence[Any] = (), loggers: Sequence[Any] = (), gan: Any = None) -> Trainer:
        config = tiny(*words)
        quiet()
        trainer = Trainer(
            accelerator="cpu",
            max_steps=config["trainer"]["max_steps"],
            max_epochs=-1,
            plugins=[AtomicCheckpointIO()],
            logger=list(loggers),
            callbacks=list(callbacks),
            default_root_dir=tmp_path,
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(build_gan(config, images) if gan is None else gan)
        return trainer

    return fit
