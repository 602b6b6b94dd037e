"""`metric=accuracy`: how many samples are of the class that G was asked for, key accuracy.

Told by a classifier of real samples that ships with the package (mnist_cnn, fashion_cnn), or by the data themselves,
where they know of any sample which class it is of (`classify`): sprites by what they are drawn from, points of a
mixture by the nearest centre. The floor is the same of real samples and their own classes, which a classifier gets
wrong now and then. It says nothing on how alike the samples of a class are.
"""

from collections.abc import Callable
from typing import TypeAlias, cast

import torch

from ganduel.data.base import Data
from ganduel.data.check import is_image
from ganduel.metric.features import ClassifierFeatures, FakeFeatures, Features, extractor
from ganduel.metric.labelled import FakeLabels, LabelledMetric, RealLabels
from ganduel.types import Labels, Scalar

Classify: TypeAlias = Callable[[Features], Labels]


class Accuracy(LabelledMetric):
    """The share of samples that are of their class.

    Args:
        samples: the number of samples.
    """

    quantities = {"accuracy": True}  # noqa: RUF012
    ranges = {"accuracy": (0.0, 1.0)}  # noqa: RUF012
    uses_real = False

    def __init__(self, samples: int | None = None):
        super().__init__(samples)

    def inapplicable_reason(self, data: Data) -> str | None:
        if data.classes is None:
            return super().inapplicable_reason(data)
        return None if classifier(data) else "nothing is known that tells its classes"

    def fit_to(self, data: Data) -> None:
        super().fit_to(data)
        self.features, self.classify = cast(tuple[str, Classify], classifier(data))

    def compare_classes(
        self, real: Features, real_labels: RealLabels, fake: FakeFeatures, fake_labels: FakeLabels
    ) -> dict[str, Scalar]:
        return {"accuracy": (self.classify(fake) == fake_labels).double().mean()}


def classifier(data: Data) -> tuple[str, Classify] | None:
    """The features in which samples of the data are classified, and how; None if nothing is known."""
    if (classify := getattr(data, "classify", None)) is not None:
        if is_image(data.shape):
            return "pixels", lambda features: classify(2 * features.unflatten(1, data.shape) - 1)
        return "points", lambda features: classify(features.unflatten(1, data.shape))
    name = data.features or "points"
    net = extractor(name, torch.device("cpu"))
    if not isinstance(net, ClassifierFeatures) or net.classes_known != data.classes:
        return None
    return name, lambda features: cast(ClassifierFeatures, extractor(name, features.device)).classes(features)
