"""What the scripts that time share: their options, a run to time, silence, and the file of the results."""

import argparse
import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra

from ganduel.run import app, prepare
from ganduel.tracking.provenance import provenance

CONF = Path(__file__).resolve().parents[1] / "conf"


def parser(description: str, rounds: int, iterations: int) -> argparse.ArgumentParser:
    """The options that all have, with these defaults."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--rounds", type=int, default=rounds, help="blocks of everything that is timed")
    options.add_argument("--iterations", type=int, default=iterations, help="timed iterations a block")
    options.add_argument("--warmup", type=int, default=20, help="iterations before them")
    options.add_argument("--tiny", action="store_true", help="a few iterations, to see that it runs")
    options.add_argument("--out", type=Path, help="a JSON file for the results")
    return options


def parse(options: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options' values; tiny ones where that is asked for."""
    chosen = options.parse_args(arguments)
    if chosen.tiny:
        chosen.rounds, chosen.iterations, chosen.warmup = 1, 3, 1
    return chosen


def begin(folder: Path, overrides: Sequence[str], device: str) -> dict[str, Any]:
    """The config of a run in the folder, as a command line would give it."""
    app.prepare()
    words = [*overrides, f"trainer.accelerator={'cpu' if device == 'cpu' else 'gpu'}"]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config, choices = prepare.composed("train", words)
    return prepare.begin(prepare.checked(config, choices), folder, choices, words)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ganduel-benchmark-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """What is timed prints to nowhere."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def keep(results: dict[str, Any], out: Path | None) -> dict[str, Any]:
    """The results with where they come from, in the file if there is one."""
    origin = provenance()
    results |= {"machine": {**origin["machine"], "cores": os.cpu_count()}}
    results |= {key: origin[key] for key in ("versions", "git", "created")}
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results
