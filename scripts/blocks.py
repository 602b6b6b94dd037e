"""What the scripts that time share: their options, a run to time, silence, and the file of the results."""

import argparse
import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
import torch
from lightning.pytorch import Callback

from ganduel.callback.progress import ProgressBar
from ganduel.callback.stop import StopOnSignal
from ganduel.data.base import Data
from ganduel.gan import GAN
from ganduel.run import app, prepare, run
from ganduel.run.matmul import matmul_precision
from ganduel.tracking.provenance import provenance

CONF = Path(__file__).resolve().parents[1] / "conf"
Iterate = Callable[[int], Any]  # GAN.iterate, or what is called instead of it


def parser(description: str, rounds: int, iterations: int) -> argparse.ArgumentParser:
    """The options that all have, with these defaults."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--rounds", type=int, default=rounds, help="blocks of everything that is timed")
    options.add_argument("--iterations", type=int, default=iterations, help="timed iterations per block")
    options.add_argument("--warmup", type=int, default=20, help="iterations before them")
    options.add_argument("--tiny", action="store_true", help="a few iterations, to see that it runs")
    options.add_argument("--out", type=Path, help="a JSON file for the results")
    return options


def parse(options: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options' values; tiny ones where that is asked for."""
    values = options.parse_args(arguments)
    if values.tiny:
        values.rounds, values.iterations, values.warmup = 1, 3, 1
    return values


def begin(folder: Path, overrides: Sequence[str], device: str) -> dict[str, Any]:
    """The config of a run in the folder, as a command line would give it."""
    app.prepare()
    words = [*overrides, f"trainer.accelerator={'cpu' if device == 'cpu' else 'gpu'}"]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config, choices = prepare.compose("train", words)
    if config.engine == "compile":
        torch.compiler.reset()  # else a process would compile the code of a network for the first few runs only
    return prepare.start(prepare.validate(config, choices, words)[0], folder, choices, words)


def fit(
    values: dict[str, Any],
    folder: Path,
    wrap: Callable[[Iterate], Iterate],
    data: Data | None = None,
    callbacks: Sequence[Callback] = (),
) -> GAN:
    """Train as `run.fit` does, in blocks of iterations, and return the trained GAN.

    Args:
        values: the run's resolved config.
        folder: the run's folder.
        wrap: from the GAN's `iterate` to what is called in each iteration instead.
        data: real samples that are in memory already.
        callbacks: further ones; blocks stay as they are unless one has a hook in each batch.
    """
    parts, stop = run.Run(values, folder), StopOnSignal()
    parts.build(data)
    gan = parts.gan
    gan.iterate = wrap(gan.iterate)
    trainer = run.build_trainer(
        values, folder, parts.loggers, [*callbacks, stop, *parts.callbacks, ProgressBar(parts.record)]
    )
    with matmul_precision(values, gan.generator, gan.discriminator):
        trainer.fit(gan)
    if stop.signum is not None:
        sys.exit(128 + stop.signum)  # it was meant for the script as a whole
    return gan


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ganduel-benchmark-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """What is timed prints to nowhere."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


@contextlib.contextmanager
def fallbacks() -> Iterator[list[str]]:
    """Gathers the lines in which engines say what they do not do, each once: a time is then that of something else."""
    lines, log, handler = list[str](), logging.getLogger("ganduel"), logging.Handler(logging.INFO)

    def emit(record: logging.LogRecord) -> None:
        line = record.getMessage()
        if "engine=" in line and line not in lines:
            lines.append(line)

    handler.emit = emit
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield lines
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def keep(results: dict[str, Any], out: Path | None) -> dict[str, Any]:
    """The results with where they come from, in the file if there is one."""
    origin = provenance()
    results |= {"machine": {**origin["machine"], "cores": os.cpu_count()}}
    results |= {key: origin[key] for key in ("versions", "git", "created")}
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results
