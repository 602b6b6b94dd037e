"""What a condition is: how G and D of any architecture learn the class of a sample.

A condition wraps the two networks, which know nothing of classes, in ones that take the labels (batch,) as a second
argument. The base class wraps nothing: user networks that take labels themselves are built as they are.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from ganduel.loss.base import Loss
from ganduel.model.base import Discriminator, Generator


class Condition:
    """No condition.

    Attributes:
        takes_labels: whether the data have to have labels.
    """

    takes_labels: bool = False

    def generator(self, build: Callable[..., Any], classes: int | None) -> Generator:
        """G for so many classes.

        Args:
            build: makes a G without labels; of a noise with so many more dimensions than asked for in the config.
            classes: of the data.
        """
        return build()

    def discriminator(self, build: Callable[..., Any], shape: Sequence[int], classes: int | None) -> nn.Module:
        """D for samples of the shape in so many classes; `build` makes a D without labels for samples of a shape."""
        return build(tuple(shape))

    def loss(self, loss: Loss) -> Loss:
        """What the two minimise."""
        return loss


class ConditionedDiscriminator(Discriminator):
    """D(x, y), made of a D without labels."""

    def __init__(self, net: nn.Module, classes: int):
        super().__init__()
        self.net, self.classes = net, classes
        self.mixes_samples = getattr(net, "mixes_samples", None)
