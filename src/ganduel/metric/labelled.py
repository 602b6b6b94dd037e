"""The base of metrics that need the classes of samples: those asked of G, and those of real samples.

    metric.update(features, real, labels)      # the class of each sample
    metric.compute()

Sample i of an evaluation was asked for as class i mod classes (ganduel.metric.evaluation). For data that show labels,
as they do for a condition.
"""

from abc import abstractmethod
from typing import TypeAlias, cast

from jaxtyping import Int64
from torch import Tensor

from ganduel.data.base import Data
from ganduel.errors import UserError
from ganduel.metric.base import SampleMetric, gathered
from ganduel.metric.features import FakeFeatures, Features
from ganduel.types import Labels, Scalar

RealLabels: TypeAlias = Int64[Tensor, " n"]
FakeLabels: TypeAlias = Int64[Tensor, " m"]


class LabelledMetric(SampleMetric):
    """Compares samples of known classes.

    Args:
        samples, features: as of every metric.
    """

    uses_labels = True
    real_labels: list[Tensor]
    fake_labels: list[Tensor]

    def __init__(self, samples: int | None = None, features: str | None = None):
        super().__init__(samples, features)
        self.add_state("real_labels", default=[], dist_reduce_fx="cat")
        self.add_state("fake_labels", default=[], dist_reduce_fx="cat")

    def inapplicable_reason(self, data: Data) -> str | None:
        if data.classes is None:
            return "its samples have no classes here. They have where a condition is given, as condition=projection"
        return super().inapplicable_reason(data)

    def fit_to(self, data: Data) -> None:
        super().fit_to(data)
        self.classes = cast(int, data.classes)

    def update(self, features: Features, real: bool, labels: Labels | None = None) -> None:
        if labels is None:
            raise UserError(f"{self.label}: {'the real samples come' if real else 'G makes samples'} without classes.")
        super().update(features, real)
        (self.real_labels if real else self.fake_labels).append(labels)

    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        fake_labels = gathered(self.fake_labels)
        real_labels = gathered(self.real_labels) if self.uses_real else fake_labels[:0]
        return self.compare_classes(real, real_labels, fake, fake_labels)

    @abstractmethod
    def compare_classes(
        self, real: Features, real_labels: RealLabels, fake: FakeFeatures, fake_labels: FakeLabels
    ) -> dict[str, Scalar]:
        """The quantities of two sets of features and their classes."""

    def forget_fake(self) -> None:
        labels = list(self.real_labels)
        super().forget_fake()
        self.real_labels = labels
