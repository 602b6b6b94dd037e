"""Members side by side in one process: each in its own `Trainer.fit`, their iterations in one stack.

    start each member          up to its first iteration: folder, trackers, networks, a checkpoint to go on from
    while members are left:
        iterate the stack      of those that are the least far; all of them, but after a kill between two checkpoints
        return to each member  which does what follows an iteration, and comes to the beginning of its next or its end;
                               to none, as long as there is nothing to do for any of them

One that diverges ends like a run that trains alone, and the others go on without it. A signal is noted for all, and
acted on by all after the same iteration.
"""

import json
import logging
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from types import FrameType
from typing import Any

import torch
from greenlet import greenlet
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from ganduel.build import build, build_gan
from ganduel.callback.base import Peers, others
from ganduel.callback.finite import QUANTITIES
from ganduel.callback.progress import ProgressBar
from ganduel.callback.statistics import Statistics
from ganduel.callback.stop import SIGNALS, StopOnSignal
from ganduel.data.base import Data
from ganduel.errors import UserError
from ganduel.gan import GAN
from ganduel.loop import NEVER
from ganduel.population.member import Member
from ganduel.population.members import kind_of
from ganduel.population.stack import Stack
from ganduel.run.explain import explain
from ganduel.run.run import Alone, check_batch, fit, matmul_precision
from ganduel.tracking.record import Record

log = logging.getLogger("ganduel")
speaking: ContextVar[str] = ContextVar("speaking")  # the member that has the turn; each greenlet has its own


@dataclass(eq=False)
class Seat(Alone):
    """Where a member trains.

    Attributes:
        name: the member's, which its folder has too.
        values: the run's resolved config.
        folder: the run's.
        checkpoint: where to go on from; None for a new run.
        error: what ended it, other than the end or a signal.
    """

    name: str
    values: dict[str, Any]
    folder: Path
    checkpoint: Path | None = None
    error: Exception | None = None
    population: "Together" = field(init=False)
    duel: Member = field(init=False)
    record: Record = field(init=False)

    def train(self) -> None:
        """The run, from its beginning to its end."""
        speaking.set(self.name)
        try:
            fit(self.values, self.folder, self.checkpoint, self)
        except SystemExit as ended:  # after a signal; the population ends in the same way when all have
            if self.population.noted == 0:
                raise KeyboardInterrupt from None  # Lightning's answer to one
            self.population.code = ended.code
        except Exception as error:
            self.error, message = error, explain(error)
            log.error("error: %s", message or f"{type(error).__name__}: {error}", exc_info=message is None)

    def gan(self, values: dict[str, Any]) -> GAN:
        self.duel = build_gan(values, check_batch(values, self.population.data(values["data"])), Member)
        return self.duel

    def stop(self) -> StopOnSignal:
        return StopTogether(self.population)

    def bar(self, record: Record) -> ProgressBar:
        self.record = record
        return self.population.bar

    def matmul_precision(self, values: dict[str, Any]) -> AbstractContextManager:
        return nullcontext()  # the population's: one that ends must not change it for the others

    @property
    def trainer(self) -> Trainer:
        return self.duel.trainer


class Together:
    """Trains members.

    Args:
        seats: theirs.
        processes: others, which train more members, and are told of each signal.
        shown: whether there is a bar.
        elsewhere: how many members those others train.

    Attributes:
        pending: the last signal that came; 0 for none.
        noted: the one that had come when the iteration began.
        code: what a signal ends the program with; None if none has.
        stack: of those that are the least far.
    """

    stack: Stack

    def __init__(self, seats: Sequence[Seat], processes: Sequence[Popen] = (), shown: bool = True, elsewhere: int = 0):
        self.seats, self.processes, self.elsewhere = list(seats), list(processes), elsewhere
        self.waiting: list[Seat] = []  # at the beginning of an iteration
        self.current: Seat | None = None
        self.leader: Seat | None = None  # the first of the group that iterates
        self.pending = self.noted = 0
        self.code: Any = None
        self.bar = SharedBar(self, shown)
        self.known: dict[str, Data] = {}
        self.turns: dict[Seat, greenlet] = {}
        for seat in self.seats:
            seat.population = self
            self.turns[seat] = greenlet(seat.train)

    def data(self, config: dict[str, Any]) -> Data:
        """The data of a config, one copy for all members."""
        key = json.dumps(config, sort_keys=True)
        if key not in self.known:
            self.known[key] = build(config)
        return self.known[key]

    def train(self) -> None:
        """Train all members until each has ended."""
        with self.signals(), named_lines(), matmul_precision(self.seats[0].values):
            try:
                for seat in self.seats:
                    self.turn(seat)
                self.iterate()
            except BaseException as error:
                for seat in list(self.waiting):
                    self.current = seat
                    with suppress(BaseException):
                        self.turns[seat].throw(error)
                raise

    def iterate(self) -> None:
        """Those that are the least far, until one of them ends or they have come to where others are."""
        stacked: list[Seat] = []
        while self.waiting:
            t = min(seat.duel.global_step for seat in self.waiting)
            group = [seat for seat in self.waiting if seat.duel.global_step == t]
            if group != stacked:
                check_shapes([seat.duel for seat in group])
                self.stack = Stack([seat.duel for seat in group], [kind_of(seat.values) for seat in group])
                stacked = group
            self.leader = group[0]
            self.advance(group, t, min((s.duel.global_step for s in self.waiting if s not in group), default=NEVER))

    def advance(self, group: Sequence[Seat], t: int, end: int) -> None:
        """Iterate the stack; members see the ends of those iterations that one of them, or the bar, waits for."""
        due, passed, members = 0, list[Tensor](), len(self.waiting)
        try:
            while t < end and len(self.waiting) == members:
                self.noted = self.pending
                outputs = self.stack.iterate(t)
                t += 1
                if t < due and not self.noted and not self.bar.is_due():
                    passed.append(torch.stack([outputs[key] for key in QUANTITIES]))
                    continue
                self.catch_up(group, passed)
                self.look_after()
                networks = self.stack.generator, self.stack.discriminator
                peers = Peers(outputs, [seat.duel for seat in group], networks, self.stack.graphed)
                for seat in group:
                    seat.duel.peers = peers
                for seat, own in zip(group, self.stack.apart(outputs), strict=True):
                    self.turn(seat, own)
                due = min(seat.duel.due_at for seat in group)
        finally:
            self.catch_up(group, passed)

    def look_after(self) -> None:
        """Say so if another process has ended without a signal or the end of its members."""
        for process in [] if self.pending else self.processes:
            if process.poll():
                log.error("error: a process has ended with %s; resume=… trains its members on", process.returncode)
        self.processes = [process for process in self.processes if not process.returncode]

    def catch_up(self, group: Sequence[Seat], passed: list[Tensor]) -> None:
        """Tell all members of iterations that have passed; none of them has ended meanwhile."""
        if passed:
            numbers = torch.stack(passed)  # (iterations, quantities, members)
            passed.clear()
            finite = numbers.isfinite().all(0).all(0).tolist()
            for i, seat in enumerate(group):
                seat.duel.skip(numbers[:, :, i], finite[i])

    def turn(self, seat: Seat, *outputs: Any) -> None:
        """Let a member go on until it waits again or has ended."""
        first = not self.turns[seat]
        self.current = seat
        self.turns[seat].switch(*outputs)
        ended = self.turns[seat].dead
        if first and not ended:
            self.waiting.append(seat)
        elif ended and not first:
            self.waiting.remove(seat)
        if first or ended:
            self.listen()  # Lightning has set handlers, or put old ones back

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Signals are noted inside."""
        before = {signum: signal.getsignal(signum) for signum in SIGNALS}
        self.listen()
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def listen(self) -> None:
        for signum in SIGNALS:
            signal.signal(signum, self.note)

    def note(self, signum: int, frame: FrameType | None) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signum)
        if self.pending == signum == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: at once
        self.pending = signum


def check_shapes(gans: Sequence[GAN]) -> None:
    """Refuse data whose samples make networks of another shape."""
    shapes = sorted({tuple(gan.data.shape) for gan in gans})
    if len(shapes) > 1:
        raise UserError(
            f"members need samples of one shape, and these have {shapes[0]} and {shapes[1]}. Sweep over data."
        )


class StopTogether(StopOnSignal):
    """Stops with all others; the population notes the signals."""

    def __init__(self, population: Together):
        super().__init__()
        self.population = population

    @property
    def noted(self) -> bool:
        return self.population.pending != 0 and self.signum is None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Nothing to do, as in the next."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The handlers are the population's."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.population.noted:
            self.signum = self.population.noted
            trainer.should_stop = True


class SharedBar(ProgressBar):
    """One bar for all members, with the last row of the first in training."""

    def __init__(self, population: Together, shown: bool):
        super().__init__(record=None)
        self.population, self.shown = population, shown
        self.on = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.shown and not self.on:
            super().on_train_start(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        leader = self.population.leader
        if leader is not None and leader is self.population.current:
            self.record, self.duels = leader.record, len(self.population.waiting) + self.population.elsewhere
            if self.on and (images := leader.duel.images_seen) < self.images:  # less far than the last one
                self.images, self.started = images, time.monotonic() - self.seconds
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def leave_out(self, seconds: float) -> None:
        """Of the others' clocks too: what one member does between iterations is no training of theirs."""
        super().leave_out(seconds)
        for seat in self.population.waiting:
            if seat is not self.population.current:
                for statistics in others(seat.trainer, Statistics):
                    statistics.leave_out(seconds)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self.on and len(self.population.waiting) <= 1:
            super().teardown(trainer, pl_module, stage)


@contextmanager
def named_lines() -> Iterator[None]:
    """Each line that is logged inside begins with the member that it is of."""

    def name(record: logging.LogRecord) -> bool:
        if (member := speaking.get("")) != "":
            record.msg, record.args = "%s: " + record.msg, (member, *(record.args or ()))
        return True

    log.addFilter(name)
    try:
        yield
    finally:
        log.removeFilter(name)
