r"""ACGAN: D also says which class a sample is of, and both players are to have that right.

    D(x, y) = (logit, log p(y | x))         log-softmax of a second linear layer on D's features, at the sample's label
    L_D ← L_D − weight · (E[log p(y | x)] + E[log p(y | G(z, y))])
    L_G ← L_G − weight · E[log p(y | G(z, y))]

In nats; −log p is log(classes) for a D that knows nothing. Samples near the borders between classes become rare, a
known weakness of the method. Of G as in concat.
Source: Odena, Olah, Shlens 2017, "Conditional image synthesis with auxiliary classifier GANs", section 3, L_S and L_C
(arXiv:1610.09585).
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganduel.condition.base import ConditionedDiscriminator
from ganduel.condition.generator import GeneratorCondition, LabelCondition
from ganduel.condition.head import tap_head
from ganduel.errors import UserError
from ganduel.loss.base import LogitLoss, Loss
from ganduel.types import Labels, Samples, Scalar


class Auxiliary(LabelCondition):
    """A classifier beside D's logit.

    Args:
        weight: of the classes in both losses.
        generator: how G learns the class.
        embedding: the dimension of G's embedding.
    """

    def __init__(self, weight: float = 1.0, generator: GeneratorCondition = "embedding", embedding: int = 32):
        super().__init__(generator, embedding)
        if not weight >= 0:
            raise UserError(f"condition.weight={weight} must not be negative.")
        self.weight = weight

    def discriminator(self, build: Callable[..., Any], shape: Sequence[int], classes: int | None) -> nn.Module:
        assert classes is not None
        return AuxiliaryDiscriminator(build(tuple(shape)), classes)

    def loss(self, loss: Loss) -> Loss:
        return AuxiliaryLoss(loss, self.weight)


class AuxiliaryDiscriminator(ConditionedDiscriminator):
    """The logit and log p(y | x), (batch, 2)."""

    def __init__(self, net: nn.Module, classes: int):
        super().__init__(net, classes)
        self.tap = (tap_head(net, "auxiliary"),)  # in a tuple, as it is the network's
        self.classifier = nn.Linear(self.tap[0].width, classes)

    def forward(self, x: Samples, y: Labels) -> Tensor:  # type: ignore[override]
        logits = self.net(x)
        log_p = self.classifier(self.tap[0].take()).log_softmax(1).gather(1, y[:, None])
        return torch.cat([logits[:, None], log_p], 1)


class AuxiliaryLoss(Loss):
    """A loss on the logits, and the classes' cross-entropy.

    Args:
        loss: of the logits.
        weight: of the cross-entropy.
    """

    outputs = 2

    def __init__(self, loss: Loss, weight: float):
        self.base, self.weight = loss, weight
        self.generator_uses_real, self.threshold, self.log_odds = (
            loss.generator_uses_real,
            loss.threshold,
            loss.log_odds,
        )

    @property
    def per_logit(self) -> LogitLoss | None:
        return self.base.per_logit

    def check(self, discriminator: nn.Module, penalties: Collection[nn.Module]) -> None:
        self.base.check(discriminator, penalties)

    def logits(self, output: Tensor) -> Tensor:
        return output[..., 0]

    def discriminator(self, real: Tensor, fake: Tensor) -> Scalar:
        classes = real[..., 1].mean() + fake[..., 1].mean()
        return self.base.discriminator(real[..., 0], fake[..., 0]) - self.weight * classes

    def generator(self, real: Tensor | None, fake: Tensor) -> Scalar:
        logits = None if real is None else real[..., 0]
        return self.base.generator(logits, fake[..., 0]) - self.weight * fake[..., 1].mean()

    def statistics(self, real: Tensor, fake: Tensor) -> dict[str, Scalar]:
        return self.base.statistics(real, fake)
