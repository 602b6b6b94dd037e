r"""Projection: D adds the product of its features with a direction of the class.

    D(x, y) = ψ(φ(x)) + v_y · φ(x)          φ: D's features, ψ: its last layer, v_y: a learnt vector per class

That is the form of the best logit, log p(y|x)/p_g(y|x) + log p(x)/p_g(x), where the classes are a softmax of features.
Where D's last layer is spectrally normalised, so is v. v begins at 0: D knows of no class. Of G as in concat.
Source: Miyato and Koyama 2018, "cGANs with projection discriminator", equation 3 and section 3 (arXiv:1802.05637).
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from ganduel.condition.base import ConditionedDiscriminator
from ganduel.condition.generator import LabelCondition
from ganduel.condition.head import tap_head
from ganduel.types import Labels, Logits, Samples


class Projection(LabelCondition):
    """A direction of features per class."""

    def discriminator(self, build: Callable[..., Any], shape: Sequence[int], classes: int | None) -> nn.Module:
        assert classes is not None
        return ProjectionDiscriminator(build(tuple(shape)), classes)


class ProjectionDiscriminator(ConditionedDiscriminator):
    """ψ(φ(x)) + v_y · φ(x)."""

    def __init__(self, net: nn.Module, classes: int):
        super().__init__(net, classes)
        self.tap = (tap_head(net, "projection"),)  # in a tuple, as it is the network's
        self.directions = nn.Embedding(classes, self.tap[0].width)
        nn.init.zeros_(self.directions.weight)
        if is_parametrized(self.tap[0].layer):
            nn.init.xavier_uniform_(self.directions.weight)  # a norm of 0 cannot be divided by
            spectral_norm(self.directions)

    def forward(self, x: Samples, y: Labels) -> Logits:  # type: ignore[override]
        logits = self.net(x)
        return logits + (self.directions(y) * self.tap[0].take()).sum(1)
