"""Runs with the real library, as programs of their own, and what it has left on disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

from small import EVALUATION, SMALL

ROOT = Path(__file__).parents[1]
KEY = "0123456789" * 4
WORDS = (*SMALL, *EVALUATION, "k=2", "trainer.max_steps=5", "log_every=2")


def environment(home, **variables):
    """No key, no settings file and no variable of this machine's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_") and name != "NETRC"}
    return {**kept, "HOME": str(home), "OMP_NUM_THREADS": "1", "TERM": "dumb", **variables}


def train(folder, *words, **variables):
    """Run the program with no terminal; returns how it ended."""
    command = [sys.executable, str(ROOT / "train.py"), *WORDS, f"hydra.run.dir={folder}", *words]
    folder.parent.mkdir(exist_ok=True)
    given = environment(folder.parent, **variables)
    return subprocess.run(command, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=170)


def told(folder):
    """The program's lines on W&B."""
    lines = (folder / "train.log").read_text().splitlines()
    return [line.partition("ganduel: ")[2] for line in lines if "W&B" in line or "wandb" in line]


def inspect(folder, *words):
    """A run's file as W&B's own tool reads it."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *words, str(folder)]
    done = subprocess.run(command, env=environment(folder), capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()] if not words else json.loads(done.stdout)


def read(master):
    """All that comes out of a terminal."""
    text = b""
    while True:
        try:
            text += os.read(master, 4096)
        except OSError:
            return text.decode()


def history(records):
    return [record["history"]["item"] for record in records if record["type"] == "history"]
