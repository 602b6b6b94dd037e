r"""Weight clipping: after each step every weight of the network is brought back into [−c, c].

    w ← min(max(w, −c), c)

Of D it bounds the slope, by a function of c, the widths and the depth, as the Wasserstein loss needs it. There is
no term: the penalty is 0. Biases, and what belongs to a normalisation, are clipped too, as in the paper's code. Its
c = 0.01 is for its networks; D's output is small with it.
Source: Arjovsky, Chintala, Bottou 2017, "Wasserstein GAN", Algorithm 1, c = 0.01 (arXiv:1701.07875).
"""

from collections.abc import Callable, Iterable

from torch import Tensor

from ganduel.batch import Minibatch
from ganduel.errors import UserError
from ganduel.penalty.base import Penalty
from ganduel.types import Samples, Scalar


class ClipWeights(Penalty):
    """|w| ≤ c."""

    bounds_slope = True

    def __init__(self, c: float = 0.01):
        super().__init__()
        if not c > 0:
            raise UserError(f"ClipWeights: c={c} must be above 0.")
        self.c = c

    def forward(self, net: Callable, b: Minibatch, fake: Samples) -> Scalar:
        return b.noise.new_zeros(())

    def after_step(self, parameters: Iterable[Tensor]) -> None:
        for parameter in parameters:
            parameter.clamp_(-self.c, self.c)
