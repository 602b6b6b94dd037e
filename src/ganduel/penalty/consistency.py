r"""Consistency regularisation: D's answer is not to change when an image is mirrored or moved a little.

    P = real · E[(D(x) − D(T(x)))²] + fake · E[(D(G(z)) − D(T(G(z))))²]          D(·) here the logit

T mirrors an image left to right, half of the time, and moves it by up to `shift` pixels each way; what comes in is 0,
the middle of [−1, 1]. With fake=0 it is CR, with both weights bCR, the balanced form: with CR alone G may come to make
what T makes. It takes one more pass of D over images and what T makes of them, or two.
Source: Zhang, Zhang, Odena, Lee 2020, "Consistency regularization for generative adversarial networks", weight 10
(arXiv:1910.12027); Zhao et al. 2021, "Improved consistency regularization for GANs", bCR, weights of 10 on CIFAR-10
(arXiv:2002.04724).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ganduel.augment.transforms import flip, translate
from ganduel.batch import Minibatch
from ganduel.errors import UserError
from ganduel.penalty.base import Penalty, check_weight
from ganduel.types import Labels, Samples, Scalar


class Consistency(Penalty):
    """The squared change of D's logit when an image is mirrored and moved.

    Args:
        real: the weight on real images.
        fake: the weight on generated ones.
        shift: pixels.
        every: iterations between two in which it is due.
    """

    def __init__(self, real: float = 10.0, fake: float = 0.0, shift: int = 4, every: int = 1):
        super().__init__(every)
        check_weight(self, real=real, fake=fake)
        if shift < 0:
            raise UserError(f"Consistency: shift={shift} is a number of pixels, and must not be negative.")
        self.real, self.fake, self.shift = real, fake, shift

    def check(self, network: nn.Module, shape: Sequence[int]) -> None:
        if len(shape) != 3:
            raise UserError(
                f"Consistency mirrors and moves images, and the data's samples are of shape {tuple(shape)}."
            )

    def forward(self, net: Callable, b: Minibatch, fake: Samples) -> Scalar:
        total = b.noise.new_zeros(())
        for weight, x, y in ((self.real, b.real, b.labels), (self.fake, fake, b.fake_labels)):
            if weight > 0:
                total = total + weight * self.changes(net, b, x, y).square().mean()
        return total

    def changes(self, net: Callable, b: Minibatch, x: Samples, y: Labels | None) -> Tensor:
        """D(x) − D(T(x)), (batch,)."""
        mirrored, *shifts = b.draws.uniform(torch.empty(len(x), 3, device=x.device)).unbind(1)
        steps = ((torch.stack(shifts, 1) * (2 * self.shift + 1)).floor() - self.shift).long()
        return net(x, y) - net(translate(flip(x, mirrored < 0.5), steps), y)
