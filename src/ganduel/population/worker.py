"""A further process of a population: python -m ganduel.population.worker FOLDER …, the folders of its members.

The first process starts it, and has written their configs. Its locks on the members' folders are open in this process
too, and held until both have ended.
"""

import json
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path

from ganduel.environment import end_with_parent
from ganduel.run import app

CONFIG_WITH_SECRETS = "GANDUEL_CONFIG"  # environment variable: of one member, for the secrets that no file has


def main() -> None:
    end_with_parent(partial(os.kill, os.getpid(), signal.SIGTERM))  # with a checkpoint, if training has begun
    from ganduel import checkpoint as checkpoints
    from ganduel.population.trainer import MemberSpec, train_members
    from ganduel.tracking.files import read_config
    from ganduel.tracking.secrets import with_secrets

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folders = [Path(word) for word in sys.argv[1:]]
    newest = [checkpoints.latest(folder) if checkpoints.has_checkpoint(folder) else None for folder in folders]
    pairs = zip(folders, newest, strict=True)
    given = json.loads(os.environ.get(CONFIG_WITH_SECRETS, "{}"))
    specs = [
        MemberSpec(folder.name, with_secrets(read_config(folder), given, folder), folder, path)
        for folder, path in pairs
    ]
    sys.exit(train_members(specs, bar=False))


if __name__ == "__main__":
    app.run(main)
