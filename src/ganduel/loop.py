"""Lightning's training loop, without what it does around each iteration for others than us.

Lightning calls `on_train_batch_start`, `training_step` and the callbacks once an iteration. What it does in between is
for loaders, schedulers, hooks and loggers that a duel does not use, and is a tenth of an iteration of small
networks. So the hook at the beginning of an iteration does it, and those after it, itself: all but the last, whose end
Lightning's loop has to see. Each is counted as Lightning counts it, and the callbacks are called as Lightning calls
them; those of ours that say when there is something for them to do, only then. Around each backward pass and each step
of an optimizer Lightning asks all callbacks again; that is passed over likewise. Where a callback that is not ours asks
for more, everything goes Lightning's way.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import count
from typing import Any

from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.plugins.precision import DoublePrecision, HalfPrecision, MixedPrecision, Precision
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

NEVER = sys.maxsize
# What Lightning calls in each update of a network, and in each iteration.
EACH_UPDATE = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
EACH_ITERATION = ("on_train_batch_start", "on_train_batch_end", *EACH_UPDATE)
AROUND_BACKWARD = ("backward", "on_before_backward", "on_after_backward")  # a module's
PLAIN = (Precision, MixedPrecision, DoublePrecision, HalfPrecision)  # these add nothing to an update but a loss scale


class Seldom(ABC):
    """A callback for the ends of some iterations: it may count on no others, but on the last, and on one that stops."""

    @abstractmethod
    def next_due(self, n: int) -> int:
        """The first iteration after n that it is to see the end of; NEVER: none."""


class Loop(LightningModule):
    """A module whose iterations follow from their number alone; each is one `global_step`.

    Attributes:
        due_at: the iteration before whose end no `Seldom` of ours has anything to do.
    """

    due_at: int = 0

    @abstractmethod
    def iterate(self, t: int) -> dict[str, Tensor]:
        """Iteration t; returns what the callbacks look at."""

    def on_train_batch_start(self, batch: int, batch_idx: int) -> int | None:
        """Do iterations up to the last but one, or the first after which training is to stop."""
        self.await_turn()
        while self.all_ours and self.global_step + 1 < self.trainer.max_steps:
            self.pass_over(batch, batch_idx)
            if self.trainer.should_stop:
                return -1  # for Lightning: nothing more in this epoch, the only one
            self.await_turn()
        return None

    def training_step(self, batch: int, batch_idx: int) -> dict[str, Tensor]:
        """One iteration; what the loader says is of no interest."""
        outputs = self.advance()
        self.count_step()
        return outputs

    def await_turn(self) -> None:
        """Whatever must be before an iteration; `training_step` comes too late for what changes its surroundings."""

    def advance(self) -> dict[str, Tensor]:
        """The coming iteration."""
        with self.precision():
            return self.iterate(self.global_step)

    def precision(self) -> AbstractContextManager:
        """What Lightning switches on for an iteration."""
        return self.trainer.precision_plugin.train_step_context()

    def pass_over(self, batch: int, batch_idx: int) -> None:
        """An iteration, its end and the beginning of the next, with the counts and callbacks of Lightning's loop."""
        loop = self.trainer.fit_loop.epoch_loop
        loop.batch_progress.increment_started()
        outputs = self.training_step(batch, batch_idx)
        loop.batch_progress.increment_processed()
        self.end_iteration(outputs, batch, batch_idx)
        loop.batch_progress.increment_completed()
        loop._batches_that_stepped += 1
        loop.batch_progress.increment_ready()

    def end_iteration(self, outputs: dict[str, Tensor], batch: int, batch_idx: int) -> None:
        """Call the callbacks, those of ours that have nothing to do left out."""
        due, called = self.global_step >= self.due_at, self.frequent
        if due:
            called = self.callbacks
        for callback in called:
            callback.on_train_batch_end(self.trainer, self, outputs, batch, batch_idx)
        if due:
            self.due_at = self.next_due(self.global_step)
        elif self.trainer.should_stop:
            for callback in self.seldom:
                callback.on_train_batch_end(self.trainer, self, outputs, batch, batch_idx)

    def next_due(self, n: int) -> int:
        """The first iteration after n whose end all callbacks are to see."""
        return min((callback.next_due(n) for callback in self.seldom), default=n + 1)

    def count_step(self) -> None:
        """Count the iteration's step; k + 1 steps of optimizers are one."""
        self.steps.increment_ready()
        self.steps.increment_completed()

    @property
    def global_step(self) -> int:
        """Iterations done. The Trainer says the same, by ten properties of properties."""
        return 0 if self._trainer is None else self.steps.total.completed

    @cached_property
    def steps(self) -> Any:
        """Lightning's count of them."""
        return self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress

    @cached_property
    def callbacks(self) -> list[Callback]:
        return self.trainer.callbacks  # type: ignore[attr-defined]

    @cached_property
    def seldom(self) -> list[Any]:
        """Those that say when they are due."""
        return [callback for callback in self.callbacks if isinstance(callback, Seldom)]

    @cached_property
    def frequent(self) -> list[Callback]:
        """Those that see the end of each iteration."""
        return [callback for callback in self.callbacks if callback not in self.seldom]

    @cached_property
    def all_ours(self) -> bool:
        """Whether nobody would miss Lightning's loop around an iteration; what a user derives from ours may do so."""
        return not self.has_foreign(EACH_ITERATION)

    def has_foreign(self, hooks: Sequence[str]) -> bool:
        """Whether a callback that is not ours has one of these."""
        foreign = [callback for callback in self.callbacks if not is_ours(callback)]
        return any(is_overridden(hook, callback, Callback) for callback in foreign for hook in hooks)

    @cached_property
    def all_plain(self) -> bool:
        """Whether Lightning has nothing to do in an update: no loss scale, no other rank, no hook that is used."""
        plugin = self.trainer.precision_plugin
        return (
            not self.has_foreign(EACH_UPDATE)
            and type(self.trainer.strategy) is SingleDeviceStrategy
            and type(plugin) in PLAIN
            and getattr(plugin, "scaler", None) is None
            and not any(is_overridden(hook, self, LightningModule) for hook in AROUND_BACKWARD)
        )

    def train_dataloader(self) -> Iterable[int]:
        return Iterations()


def is_ours(callback: Callback) -> bool:
    return type(callback).__module__.startswith("ganduel.")


class Iterations:
    """An endless loader of nothing: the minibatches follow from the number of the iteration."""

    def __iter__(self) -> Iterator[int]:
        return count()
