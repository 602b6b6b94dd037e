"""A further process of a population: python -m ganduel.population.rank FOLDER …, the folders of its members.

The first process starts it, and has written their configs.
"""

import logging
import sys
from pathlib import Path

from ganduel import app


def main() -> None:
    from ganduel import checkpoint as checkpoints
    from ganduel.population.together import Seat, Together
    from ganduel.tracking.files import read_config

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    seats = [
        Seat(folder.name, read_config(folder), folder, checkpoints.newest(folder) if begun(folder) else None)
        for folder in map(Path, sys.argv[1:])
    ]
    together = Together(seats, shown=False)
    together.train()
    sys.exit(together.code)


def begun(folder: Path) -> bool:
    """Whether there is a checkpoint to go on from."""
    return any((folder / "checkpoints").glob("[!.]*.ckpt"))


if __name__ == "__main__":
    app.run(main)
