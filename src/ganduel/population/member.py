"""A member of a population: a run like any other, which waits before each iteration until all have done it together.

Its Trainer, callbacks, record and checkpoints are those of a run that trains alone. Each member's `Trainer.fit` runs in
a greenlet, a function that can be left in the middle and returned to: it is left at the beginning of an iteration, and
returned to with what came of it.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from greenlet import getcurrent
from lightning.pytorch import Callback
from torch import Tensor
from torch.utils._pytree import tree_map

from ganduel.callback.base import others
from ganduel.gan import GAN

# What Lightning calls in each iteration.
EACH_ITERATION = ("on_train_batch_start", "on_train_batch_end", "on_before_zero_grad", "on_before_backward",
                  "on_after_backward", "on_before_optimizer_step")  # fmt: skip


class Member(GAN):
    """A duel that others do the iterations of.

    Attributes:
        stops: whether the coming iteration's end is one that Lightning's loop must see, besides the last.
    """

    stops: Callable[[], bool]

    def on_train_batch_start(self, batch: int, batch_idx: int) -> None:
        """Give up the turn; not in `training_step`, as what Lightning has switched on around it is this member's."""
        self.wait()
        while self.all_ours and self.global_step + 1 < self.trainer.max_steps and not self.stops():
            self.pass_over(batch, batch_idx)
            self.wait()

    def wait(self) -> None:
        """Leave this greenlet until the iteration is done."""
        population = getcurrent().parent
        assert population is not None
        self.outputs = population.switch()

    def pass_over(self, batch: int, batch_idx: int) -> None:
        """End an iteration and begin the next, with the counts and the callbacks of Lightning's loop alone."""
        loop = self.trainer.fit_loop.epoch_loop
        loop.batch_progress.increment_started()
        self.count_step()
        loop.batch_progress.increment_processed()
        for callback in self.callbacks:
            callback.on_train_batch_end(self.trainer, self, self.outputs, batch, batch_idx)
        loop.batch_progress.increment_completed()
        loop._batches_that_stepped += 1
        loop.batch_progress.increment_ready()

    @cached_property
    def callbacks(self) -> list[Callback]:
        return others(self.trainer, Callback)

    @cached_property
    def all_ours(self) -> bool:
        """Whether nobody would miss Lightning's loop around an iteration, which takes 0.15 ms for each member."""
        return not any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for callback in self.callbacks
            for hook in EACH_ITERATION
            if not type(callback).__module__.startswith("ganduel.")
        )

    def count_step(self) -> None:
        """Count the step of G's optimizer that was taken elsewhere."""
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.increment_ready()
        progress.increment_completed()

    def training_step(self, batch: int, batch_idx: int) -> dict[str, Tensor]:
        self.count_step()
        return self.outputs

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Cut this member's tensors out of the stack: a file would have all of it for each view."""
        checkpoint.update(tree_map(own, checkpoint))


def own(value: Any) -> Any:
    """The value; of a view, a copy."""
    is_view = isinstance(value, Tensor) and value.untyped_storage().nbytes() > value.nbytes
    return value.clone() if is_view else value
