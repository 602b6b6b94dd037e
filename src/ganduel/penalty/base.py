"""What a penalty is: a term that D's loss gains, computed from D as a function and the update's minibatches.

D is called, never altered: its derivative with respect to a sample is taken by `torch.func.grad`, which works under
`torch.func.vmap` too, where `requires_grad_` does not.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from ganduel.types import Logits, Samples, Scalar


class Penalty(ABC):
    """A regulariser of D, added once to its loss in each of its updates."""

    active: bool = True

    @abstractmethod
    def __call__(self, discriminator: Callable[[Samples], Logits], real: Samples, fake: Samples) -> Scalar:
        """The term, weight included."""
