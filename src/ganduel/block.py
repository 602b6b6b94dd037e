"""How many iterations Lightning's loop sees as one batch: all until the next one at which a callback is due.

Around each batch Lightning does for loaders, schedulers, hooks and loggers what takes a third of an iteration of small
networks. A GAN's iterations follow from their numbers, so that `training_step` can do several of them in a row. A user
callback that wants to see every batch does: then each block is one iteration. So it is where Lightning counts epochs:
these are passes over the data.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import count
from time import monotonic
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch.nn.parallel import DistributedDataParallel

from ganduel.errors import UserError

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
    n, callbacks, loader = trainer.global_step, callbacks_of(trainer), trainer.train_dataloader
    if not isinstance(loader, Endless):
        raise UserError(
            f"fit(gan, {type(loader).__name__}): a GAN takes k minibatches per iteration, from its Batches. Call "
            "fit(gan), and give these the loader: Batches(LoaderData(loader), …), or TensorData(samples) in memory."
        )
    if isinstance(wrapper := trainer.strategy.model, DistributedDataParallel) and not wrapper.find_unused_parameters:
        raise UserError(
            "strategy=ddp waits in each update for gradients of the other network. Give the Trainer "
            "strategy=ReplicatedStrategy(), from ganduel.distributed."
        )
    if isinstance(loader, Pass) or has_user_hooks(callbacks, EACH_BATCH):
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
        return count()


class Pass(Endless):
    """A loader of n iterations, an epoch of Lightning's; it has no state, so that a resume may begin anywhere in it."""

    def __init__(self, n: int):
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.n))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


def loader(trainer: Trainer, n: int | None) -> Endless:
    """What Lightning loops over; n iterations are a pass over the data, None if these never end."""
    if trainer.max_epochs in (None, -1):
        return Endless()
    if n is None:
        raise UserError("these data never end, so that max_epochs means nothing. Give the Trainer max_steps instead.")
    return Pass(n)
