"""A rank other than the first: python -m ganduel.run.worker FOLDER [CHECKPOINT].

The first rank starts it, with Lightning's environment variables set. It reads the run's config.yaml instead of
composing it: neither Hydra nor a sweep runs again.
"""

import sys
from pathlib import Path

from ganduel.run import app


def main() -> None:
    from ganduel.run.run import fit
    from ganduel.tracking.files import read_config

    folder, *rest = map(Path, sys.argv[1:])
    fit(read_config(folder), folder, checkpoint=rest[0] if rest else None)


if __name__ == "__main__":
    app.run(main)
