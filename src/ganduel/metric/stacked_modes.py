"""`metric=stacked_modes`: which of the 1,000 modes of stacked MNIST are found, by a classifier.

26,000 samples, as in Srivastava et al. 2017 (VEEGAN), of the data of Metz et al. 2016 (Unrolled GAN); reverse_kl is
KL(p_g ‖ uniform) over the classes, in nats. Real stacks give 1,000 modes and, as 26 per class are few, a reverse_kl
near 0.02 rather than 0.
"""

from typing import cast

import torch

from ganduel.data.base import Data
from ganduel.metric.base import SampleMetric
from ganduel.metric.features import ClassifierFeatures, FakeFeatures, Features, extractor
from ganduel.metric.functional.modes import class_coverage, mode_ranges
from ganduel.types import Scalar


class StackedModes(SampleMetric):
    """Modes found and how unevenly.

    Args:
        samples: the number of samples.
    """

    quantities = {"modes": True, "reverse_kl": False}  # noqa: RUF012
    uses_real = False
    default_samples = 26_000

    def __init__(self, samples: int | None = None):
        super().__init__(samples, "mnist_cnn_rgb")

    def inapplicable_reason(self, data: Data) -> str | None:
        return None if data.features == "mnist_cnn_rgb" else "its classes are those of stacked MNIST"

    def fit_to(self, data: Data) -> None:
        super().fit_to(data)
        self.classes: int = getattr(data, "modes", 0)
        self.ranges = mode_ranges(self.classes)

    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        labels = cast(ClassifierFeatures, extractor(self.features, fake.device)).classes(fake)
        coverage = class_coverage(labels, self.classes)
        values = {"modes": coverage.modes, "reverse_kl": coverage.reverse_kl}
        return {name: torch.as_tensor(value, dtype=torch.float64) for name, value in values.items()}
