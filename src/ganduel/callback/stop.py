"""Signals end a run between two iterations, after a checkpoint: nothing is torn, nothing lost.

A handler inside Lightning's loop could interrupt between D's update and G's. This one only notes the signal; the end of
the iteration reads the note, on all ranks together. The program then ends with 128 + the signal's number.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_info

from ganduel.block import NEVER, Scheduled
from ganduel.callback.base import next_due

# Windows has only the first two; SIGHUP is what a terminal sends when it is closed.
NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


class StopOnSignal(Callback, Scheduled):
    """Stops training after the iteration in which SIGINT, SIGTERM, SIGUSR1 or SIGHUP came.

    Args:
        every: with several ranks, iterations between two exchanges of what has come.

    Attributes:
        signum: the signal that stopped the run, or None.
    """

    def __init__(self, every: int = 10):
        self.every = every
        self.signum: int | None = None
        self._noted = 0
        self._ranks = 1
        self._terminals: list[int] = []
        self._previous: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if current_thread() is main_thread():  # Python has handlers there alone
            self._previous = {signum: signal.getsignal(signum) for signum in SIGNALS}
        self._ranks = trainer.world_size
        self._terminals = [file for file in (1, 2) if os.isatty(file)]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for signum, previous in self._previous.items():  # not in setup: Lightning sets handlers of its own in between
            if previous is not signal.SIG_IGN:  # as nohup has it for SIGHUP
                signal.signal(signum, self._note)

    @property
    def noted(self) -> bool:
        """Whether a signal has come to this process that no end of an iteration has acted on yet."""
        return self._noted != 0 and self.signum is None

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self._noted == signum == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: at once
        self._noted = signum
        if signum == getattr(signal, "SIGHUP", None):
            discard_output(self._terminals)

    def next_due(self, n: int) -> int:
        """Several ranks must compare notes at the same iterations; one alone looks after each block."""
        return NEVER if self._ranks == 1 else next_due(n, self.every)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        noted = self._noted
        if trainer.world_size > 1:
            if trainer.global_step % self.every:
                return
            note = torch.tensor(noted, device=pl_module.device)
            noted = int(trainer.strategy.reduce(note, reduce_op="max"))
        if noted:
            self.signum = noted
            trainer.should_stop = True
            rank_zero_info(f"{signal.Signals(noted).name}: stopping after iteration {trainer.global_step}.")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "fit")


def discard_output(files: Sequence[int]) -> None:
    """Let what is printed to these open files go nowhere: a terminal that has been closed refuses it."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for file in files:
            os.dup2(nowhere, file)
        os.close(nowhere)
