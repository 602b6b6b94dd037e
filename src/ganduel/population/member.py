"""A member of a population: a run like any other, which waits before each iteration until all have done it together.

Its Trainer, callbacks, record and checkpoints are those of a run that trains alone. Each member's `Trainer.fit` runs in
a greenlet, a function that can be left in the middle and returned to: it is left at the beginning of an iteration, and
returned to with what came of it. Iterations after which none of its callbacks has anything to do may pass meanwhile.
"""

from typing import Any

from greenlet import getcurrent
from torch import Tensor
from torch.utils._pytree import tree_map

from ganduel.callback.base import others
from ganduel.callback.finite import Finite
from ganduel.callback.progress import ProgressBar
from ganduel.callback.stop import StopOnSignal
from ganduel.gan import GAN


class Member(GAN):
    """A duel that others do the iterations of."""

    def await_turn(self) -> None:
        """Leave this greenlet until the iteration is done."""
        population = getcurrent().parent
        assert population is not None
        self.outputs = population.switch()

    def next_due(self, n: int) -> int:
        """The first iteration after n that it must be returned to after; the bar and signals are the population's."""
        frequent = [c for c in self.frequent if not isinstance(c, Finite | ProgressBar | StopOnSignal)]
        looks = [callback.next_due(n) for callback in others(self.trainer, Finite)]
        return n + 1 if frequent or not self.all_ours else min(super().next_due(n), self.trainer.max_steps, *looks)

    def skip(self, values: Tensor, finite: bool) -> None:
        """Count iterations that have passed, by Finite's numbers of them, (iterations, quantities).

        It gets them if one is not finite, or if it has not looked at others before.
        """
        iterations, loop = len(values), self.trainer.fit_loop.epoch_loop
        loop._batches_that_stepped += iterations
        for progress in (loop.batch_progress, self.steps):
            for counts in (progress.total, progress.current):
                for name, done in vars(counts).items():
                    setattr(counts, name, done + iterations)
        for callback in others(self.trainer, Finite):
            if not finite or callback.kept or callback.before:
                callback.keep(values)

    def advance(self) -> dict[str, Tensor]:
        return self.outputs

    def on_train_start(self) -> None:
        """No graph of its own."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Cut this member's tensors out of the stack: a file would have all of it for each view.

        From a GPU each is copied on its own, on its way to the file.
        """
        for key in ("state_dict", "optimizer_states") if self.device.type != "cuda" else ():
            checkpoint[key] = tree_map(own, checkpoint[key])


def own(value: Any) -> Any:
    """The value; of a view, a copy."""
    is_view = isinstance(value, Tensor) and value.untyped_storage().nbytes() > value.nbytes
    return value.clone() if is_view else value
