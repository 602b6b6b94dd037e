r"""CGAN: the class is part of what D looks at.

    D(x, y) = D([x, one-hot y])         images: a channel for each class, 1 in that of y and 0 in the others
                                        points: as many more coordinates
    G(z, y) = G([z, e_y])

Source: Mirza and Osindero 2014, "Conditional generative adversarial nets", equation 2 (arXiv:1411.1784). There D is a
multilayer perceptron; the class as channels is usual for convolutions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import one_hot

from ganduel.condition.base import ConditionedDiscriminator
from ganduel.condition.generator import LabelCondition
from ganduel.types import Labels, Logits, Samples


class Concat(LabelCondition):
    """One-hot labels beside the sample."""

    def discriminator(self, build: Callable[..., Any], shape: Sequence[int], classes: int | None) -> nn.Module:
        assert classes is not None
        return ConcatDiscriminator(build((shape[0] + classes, *shape[1:])), classes)


class ConcatDiscriminator(ConditionedDiscriminator):
    """D([x, one-hot y])."""

    def forward(self, x: Samples, y: Labels) -> Logits:  # type: ignore[override]
        planes = one_hot(y, int(self.classes or 0)).to(x.dtype).view(len(x), -1, *[1] * (x.ndim - 2))
        return self.net(torch.cat([x, planes.expand(-1, -1, *x.shape[2:])], 1))
