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

PARENT = "GANDUEL_PARENT"  # the environment's word for the number of the first process


def main() -> None:
    parent = int(os.environ.get(PARENT, os.getppid()))  # it may be gone by now
    Thread(target=end_with, args=(parent,), daemon=True).start()
    from ganduel import checkpoint as checkpoints
    from ganduel.population.together import Seat, Together
    from ganduel.tracking.files import read_config

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folders = [Path(word) for word in sys.argv[1:]]
    at = [checkpoints.newest(folder) if checkpoints.begun(folder) else None for folder in folders]
    seats = [Seat(folder.name, read_config(folder), folder, path) for folder, path in zip(folders, at, strict=True)]
    together = Together(seats, shown=False)
    together.train()
    sys.exit(together.code)


def end_with(parent: int) -> None:
    """Stop, as by a signal, when the first process is gone: it holds the claim on the members' folders."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    app.run(main)
