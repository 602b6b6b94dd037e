"""Lightning's training loop, without what it does around each iteration for others than us.

Lightning calls `on_train_batch_start`, `training_step` and the callbacks once an iteration. What it does in between is
for loaders, schedulers, hooks and loggers that a duel does not use, and is a tenth of an iteration of small
networks. So the hook at the beginning of an iteration does it, and those after it, itself: all but the last, whose end
Lightning's loop has to see. Each is counted as Lightning counts it, and the callbacks are called as Lightning calls
them. Where a callback that is not ours asks for more, everything goes Lightning's way.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import count
from typing import Any

from lightning.pytorch import Callback, LightningModule
from torch import Tensor

# What Lightning calls in each iteration.
EACH_ITERATION = ("on_train_batch_start", "on_train_batch_end", "on_before_zero_grad", "on_before_backward",
                  "on_after_backward", "on_before_optimizer_step")  # fmt: skip


class Loop(LightningModule):
    """A module whose iterations follow from their number alone; each is one `global_step`."""

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
        """The coming iteration, under what Lightning switches on for it."""
        with self.trainer.precision_plugin.train_step_context():
            return self.iterate(self.global_step)

    def pass_over(self, batch: int, batch_idx: int) -> None:
        """An iteration, its end and the beginning of the next, with the counts and callbacks of Lightning's loop."""
        loop = self.trainer.fit_loop.epoch_loop
        loop.batch_progress.increment_started()
        outputs = self.training_step(batch, batch_idx)
        loop.batch_progress.increment_processed()
        for callback in self.callbacks:
            callback.on_train_batch_end(self.trainer, self, outputs, batch, batch_idx)
        loop.batch_progress.increment_completed()
        loop._batches_that_stepped += 1
        loop.batch_progress.increment_ready()

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
    def all_ours(self) -> bool:
        """Whether nobody would miss Lightning's loop around an iteration."""
        return not any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for callback in self.callbacks
            for hook in EACH_ITERATION
            if not type(callback).__module__.startswith("ganduel.")
        )

    def train_dataloader(self) -> Iterable[int]:
        return Iterations()


class Iterations:
    """An endless loader of nothing: the minibatches follow from the number of the iteration."""

    def __iter__(self) -> Iterator[int]:
        return count()
