"""The members' callbacks, called by the one Trainer of a population; and what members have in common."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from subprocess import Popen
from types import FrameType
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ganduel.block import EACH_BATCH, NEVER, Scheduled, has_user_hooks
from ganduel.callback.base import Clocked, images_seen
from ganduel.callback.finite import QUANTITIES, divergence
from ganduel.callback.progress import ProgressBar
from ganduel.callback.stop import StopOnSignal
from ganduel.errors import UserError
from ganduel.population.gan import StackedGAN
from ganduel.population.member import MemberTrainer, outputs_of, release
from ganduel.run.explain import explain, trace
from ganduel.run.folder import writing_to
from ganduel.run.run import failure, outcome_of
from ganduel.tracking.run_logger import RunLogger

log = logging.getLogger("ganduel")


class MemberCallbacks(Callback, Scheduled):
    """Calls each member's callbacks with the member as their module, and ends a member that fails alone.

    Args:
        members: all of them, one per GAN of the StackedGAN in its order.

    Attributes:
        running: those that have not ended.
        current: the one whose callbacks are called at the moment.
        trained: whether there has been an iteration to do.
    """

    trained = False

    def __init__(self, members: Sequence[MemberTrainer]):
        self.members, self.running = list(members), list(members)
        self.current: MemberTrainer | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.each(self.running, "setup", stage)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for member in self.running:
            if member.run.checkpoint is not None:
                member.restore(member.run.checkpoint)
        self.each(self.running, "on_fit_start")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.trained = True
        self.restack(trainer, pl_module)
        self.each(self.running, "on_train_start")
        self.drop_ended(trainer, pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.each(self.active(trainer), "on_train_batch_start", batch, batch_idx)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        gan = cast(StackedGAN, pl_module)
        active = [self.members[i] for i in gan.active]
        blocks = [torch.stack([block[key] for key in QUANTITIES]) for block in gan.block_outputs]
        values = torch.stack(blocks).cpu()  # (iterations, quantities, members)
        for i, member in enumerate(active):
            if (error := divergence(values[:, :, i], trainer.global_step, member.run.gan.batches)) is not None:
                self.end(member, error)
        for i, member in enumerate(active):
            if member in self.running:
                self.each([member], "on_train_batch_end", outputs_of(outputs, i), batch, batch_idx)
                if member.wants_to_stop and member in self.running:
                    self.each([member], "on_train_end")
                    self.finish(member, outcome_of(None))
        self.drop_ended(trainer, pl_module)

    def next_due(self, n: int) -> int:
        """The first iteration after n at which a member has something to do, or one that is ahead joins."""
        ends = [NEVER]
        for member in self.running:
            callbacks = member.run.callbacks
            if member.global_step > n:
                ends.append(member.global_step)
            elif has_user_hooks(callbacks, EACH_BATCH):
                ends.append(n + 1)
            else:
                ends += [callback.next_due(n) for callback in callbacks if isinstance(callback, Scheduled)]
        return min(ends)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.each(self.running, "on_train_end")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End members that were all killed after their last checkpoint, as `Begin` does for a run alone."""
        if not self.trained:
            self.each(self.running, "on_train_start")
            self.each(self.running, "on_train_end")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.each(self.running, "teardown", stage)

    def active(self, trainer: Trainer) -> list[MemberTrainer]:
        """Those that are at the coming iteration; others have done it before this process took over."""
        return [member for member in self.running if member.global_step <= trainer.global_step]

    def restack(self, trainer: Trainer, pl_module: LightningModule) -> None:
        cast(StackedGAN, pl_module).stack([self.members.index(member) for member in self.active(trainer)])

    def drop_ended(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stack anew when members have ended, or others have to join; stop when none is left."""
        active = [self.members.index(member) for member in self.active(trainer)]
        if not self.running:
            trainer.should_stop = True
        elif active != cast(StackedGAN, pl_module).active and trainer.global_step != trainer.max_steps:
            self.restack(trainer, pl_module)

    def each(self, members: Sequence[MemberTrainer], hook: str, *args: Any) -> None:
        """Call a hook of members' callbacks; a member whose callback raises ends alone."""
        for member in list(members):
            with self.speaking(member):
                try:
                    with writing_to(member.run.folder):
                        member.call(hook, *args)
                except Exception as error:
                    self.end(member, error)

    def end(self, member: MemberTrainer, error: Exception) -> None:
        """End a member that has failed."""
        with self.speaking(member):
            message = explain(error) or f"{type(error).__name__}: {error}"
            log.error("%serror: %s", trace(error), message)
            for callback in member.run.callbacks:
                callback.on_exception(cast(Any, member), member.run.gan, error)
        self.finish(member, failure(error))

    def finish(self, member: MemberTrainer, outcome: dict[str, Any]) -> None:
        """Leave the summary of a member that has ended."""
        member.ended_at = member.run.iteration = member.global_step
        member.run.finish(outcome, member.strategy.root_device.type)
        self.running.remove(member)
        release(member.run.gan)

    @contextmanager
    def speaking(self, member: MemberTrainer) -> Iterator[None]:
        before, self.current = self.current, member
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def named_lines(self) -> Iterator[None]:
        """Each line that is logged inside begins with the member that it is of."""

        def name(record: logging.LogRecord) -> bool:
            if self.current is not None:
                record.msg, record.args = "%s: " + record.msg, (self.current.name, *(record.args or ()))
            return True

        log.addFilter(name)
        try:
            yield
        finally:
            log.removeFilter(name)


class StopAll(StopOnSignal):
    """Stops this process's members, and passes each signal on to the processes that train others."""

    def __init__(self, processes: Sequence[Popen] = ()):
        super().__init__()
        self.processes = list(processes)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self.check_workers()

    def check_workers(self) -> None:
        """Say so, once, if another process has ended without a signal or the end of its members."""
        for process in [] if self.signum else self.processes:
            if process.poll():
                log.error("error: a process has ended with %s; resume=… trains its members on", process.returncode)
        self.processes = [process for process in self.processes if not process.returncode]

    def _note(self, signum: int, frame: FrameType | None) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signum)
        super()._note(signum, frame)


class PopulationBar(ProgressBar):
    """One bar for all members, with the last row of the first that runs; `callbacks` are theirs."""

    def __init__(self, callbacks: MemberCallbacks | None = None):
        self.callbacks = callbacks
        super().__init__(record=self)

    @property
    def last(self) -> dict[str, Any]:
        assert self.callbacks is not None
        running = self.callbacks.running or self.callbacks.members
        return cast(RunLogger, running[0].run.record).last

    def images_seen(self, trainer: Trainer) -> int:
        """By all members, those that have ended included."""
        assert self.callbacks is not None
        return sum(images_seen(member.run.gan) for member in self.callbacks.members)

    def leave_out(self, seconds: float) -> None:
        """Of the others' clocks too: what one member does between iterations is no training of theirs."""
        super().leave_out(seconds)
        assert self.callbacks is not None
        for member in self.callbacks.running:
            if member is not self.callbacks.current:
                for callback in member.run.callbacks:
                    if isinstance(callback, Clocked):
                        callback.leave_out(seconds)


def check_shapes(members: Sequence[MemberTrainer]) -> None:
    """Refuse data whose samples make networks of another shape."""
    shapes = sorted({tuple(member.run.gan.batches.data.shape) for member in members})
    if len(shapes) > 1:
        raise UserError(
            f"members need samples of one shape, and these have {shapes[0]} and {shapes[1]}. Sweep over data."
        )
