"""How many iterations Lightning's loop sees as one batch: all until the next one at which a callback is due.

Around each batch Lightning does for loaders, schedulers, hooks and loggers what takes a third of an iteration of small
networks. A GAN's iterations follow from their numbers, so that `training_step` can do several of them in a row. A user
callback that wants to see every batch does: then each block is one iteration.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from time import monotonic
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden

NEVER = sys.maxsize
SECONDS = 0.2  # after which a block ends in any case: a signal, or a progress bar, waits no longer
EACH_BATCH = ("on_train_batch_start", "on_train_batch_end")


class Scheduled(ABC):
    """A callback that looks at some iterations only; it may be called after others, and then has nothing to do."""

    @abstractmethod
    def next_due(self, n: int) -> int:
        """The first iteration after n that it is to see the end of; NEVER: none but the last."""


def block(trainer: Trainer) -> Iterator[int]:
    """The iterations of the coming block, in turn."""
    began = monotonic()
    for t in range(trainer.global_step, block_end(trainer)):
        yield t
        # Ranks must take blocks of one length, which clocks cannot give; a signal's callback is due often enough there.
        if trainer.should_stop or (trainer.world_size == 1 and monotonic() - began > SECONDS):
            return


def block_end(trainer: Trainer) -> int:
    """The iteration before which the block ends."""
    n, callbacks = trainer.global_step, callbacks_of(trainer)
    if has_user_hooks(callbacks, EACH_BATCH):
        return n + 1
    ends = [callback.next_due(n) for callback in callbacks if isinstance(callback, Scheduled)]
    return min(NEVER if trainer.max_steps < 0 else trainer.max_steps, *ends, NEVER)


def callbacks_of(trainer: Trainer) -> list[Callback]:
    return trainer.callbacks  # type: ignore[attr-defined]


def has_user_hooks(callbacks: list[Callback], hooks: tuple[str, ...]) -> bool:
    """Whether a callback that does not come with ganduel has one of these hooks."""
    return any(
        is_overridden(hook, callback, Callback) for callback in callbacks if not is_builtin(callback) for hook in hooks
    )


def is_builtin(part: Any) -> bool:
    return type(part).__module__.startswith("ganduel.")


def count_step(trainer: Trainer) -> None:
    """Count an iteration as one `global_step`; Lightning would count each `optimizer.step()` that it sees."""
    count = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    count.increment_ready()
    count.increment_completed()


class Endless:
    """A loader that never ends and yields nothing of interest: an iteration follows from its number."""

    def __iter__(self) -> Iterator[int]:
        while True:
            yield 0
