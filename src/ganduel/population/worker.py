"""A further process of a population: python -m ganduel.population.worker FOLDER …, the folders of its members.

The first process starts it, and has written their configs.
"""

import logging
import os
import signal
import sys
import time
from pathlib import Path
from threading import Thread

from ganduel.run import app

PARENT_PID = "GANDUEL_PARENT"  # environment variable: the first process's


def main() -> None:
    parent = int(os.environ.get(PARENT_PID, os.getppid()))  # it may be gone by now
    Thread(target=exit_with_parent, args=(parent,), daemon=True).start()
    from ganduel import checkpoint as checkpoints
    from ganduel.population.trainer import MemberSpec, train_members
    from ganduel.tracking.files import read_config

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folders = [Path(word) for word in sys.argv[1:]]
    newest = [checkpoints.latest(folder) if checkpoints.has_checkpoint(folder) else None for folder in folders]
    pairs = zip(folders, newest, strict=True)
    specs = [MemberSpec(folder.name, read_config(folder), folder, path) for folder, path in pairs]
    sys.exit(train_members(specs, bar=False))


def exit_with_parent(parent: int) -> None:
    """Stop, as by a signal, when the first process is gone: it holds the locks on the members' folders."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    app.run(main)
