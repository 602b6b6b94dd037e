"""`python train.py …` in a process of its own, forked from one that has imported torch and Lightning already.

Importing them takes 4 s of a core, and a short run half a second. All else is as if a shell had started it.
"""

import os
import runpy
import socket
import sys
from collections.abc import Mapping
from multiprocessing import get_context
from pathlib import Path
from tempfile import NamedTemporaryFile

TRAIN = Path(__file__).parents[1] / "train.py"
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["ganduel.run.train"])


def run(words: tuple[str, ...], folder: Path, environment: dict[str, str], printed: str) -> None:
    """What the forked process does."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(printed, os.O_WRONLY | os.O_APPEND), stream.fileno())
    sys.argv = [str(TRAIN), *words]
    runpy.run_path(str(TRAIN), run_name="__main__")


class Program:
    """A program that has been started.

    Args:
        folder: where it runs.
        words: of its command line.
        variables: of its environment, besides those of this process.
    """

    def __init__(self, folder: Path, *words: str, variables: Mapping[str, str] | None = None):
        environment = {**os.environ, **(variables or {})}
        self.file = NamedTemporaryFile("r")  # noqa: SIM115 - as long as this object lives
        self.process = CONTEXT.Process(target=run, args=(words, folder, environment, self.file.name), daemon=True)
        self.process.start()

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def ended(self) -> bool:
        return not self.process.is_alive()

    def wait(self, seconds: float = 240) -> int:
        """Its exit code, negative after a signal that it did not survive."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still running after {seconds} s"
        return self.process.exitcode

    def printed(self) -> str:
        """All that it has printed so far."""
        return Path(self.file.name).read_text(encoding="utf-8")


def run_two(folder: Path, *words: str, numbered: str = "LOCAL_RANK", **variables: str) -> None:
    """Run two that find each other, as a launcher starts them: by a variable that is 0 in one and 1 in the other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    for program in [Program(folder, *words, variables={**meeting, **variables, numbered: n}) for n in "01"]:
        assert program.wait() == 0, program.printed()
