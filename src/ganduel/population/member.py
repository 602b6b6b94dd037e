"""A member of a population: a run like any other, which waits before each iteration until all have done it together.

Its Trainer, callbacks, record and checkpoints are those of a run that trains alone. Each member's `Trainer.fit` runs in
a greenlet, a function that can be left in the middle and returned to: it is left at the beginning of an iteration, and
returned to with what came of it.
"""

from typing import Any

from greenlet import getcurrent
from torch import Tensor
from torch.utils._pytree import tree_map

from ganduel.gan import GAN


class Member(GAN):
    """A duel that others do the iterations of."""

    def await_turn(self) -> None:
        """Leave this greenlet until the iteration is done."""
        population = getcurrent().parent
        assert population is not None
        self.outputs = population.switch()

    def advance(self) -> dict[str, Tensor]:
        return self.outputs

    def on_train_start(self) -> None:
        """No graph of its own."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Cut this member's tensors out of the stack: a file would have all of it for each view."""
        checkpoint.update(tree_map(own, checkpoint))


def own(value: Any) -> Any:
    """The value; of a view, a copy."""
    is_view = isinstance(value, Tensor) and value.untyped_storage().nbytes() > value.nbytes
    return value.clone() if is_view else value
