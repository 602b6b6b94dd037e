"""A rank other than the first: python -m ganduel.run.worker FOLDER [CHECKPOINT], with the run's config as its input.

The first rank starts it, with Lightning's environment variables set: neither Hydra nor a sweep runs again. It ends when
the first rank is gone, even while it waits for it to join the process group, where no handler of a signal runs.
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path

from ganduel.environment import end_with_parent
from ganduel.run import app


def main() -> None:
    end_with_parent(partial(os.kill, os.getpid(), signal.SIGKILL))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until training begins there is nothing to save
    import yaml

    from ganduel.run.run import fit

    folder, *rest = map(Path, sys.argv[1:])
    fit(yaml.safe_load(sys.stdin.buffer), folder, checkpoint=rest[0] if rest else None)


if __name__ == "__main__":
    app.run(main)
