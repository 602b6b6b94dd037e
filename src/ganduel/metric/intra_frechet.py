"""`metric=intra_frechet`: the Fréchet distance within classes, key intra_fd.

    1/C Σ_c d(real samples of class c, samples that G was asked for as class c)²

The "intra FID" of Miyato and Koyama 2018 (arXiv:1802.05637), in any features. It sees a class that is always drawn in
the same way, or as another, which the distance of all samples together misses where the mixture comes out right. Each
class has about 1/C of the samples, and distances of fewer samples are larger: compare it with its floor.
"""

import math

import torch

from ganduel.data.base import Data
from ganduel.metric.features import FakeFeatures, Features
from ganduel.metric.functional.frechet import frechet_distance
from ganduel.metric.labelled import FakeLabels, LabelledMetric, RealLabels
from ganduel.types import Scalar


class IntraFrechet(LabelledMetric):
    """The mean over the classes of the distance within each; NaN if a class has fewer than two samples."""

    quantities = {"intra_fd": False}  # noqa: RUF012
    ranges = {"intra_fd": (0.0, math.inf)}  # noqa: RUF012

    def inapplicable_reason(self, data: Data) -> str | None:
        if (reason := super().inapplicable_reason(data)) is not None:
            return reason
        each = self.samples_per_class(data)
        return None if each >= 2 else f"{data.classes} classes make {each} of each in a set, and 2 are needed"

    def samples_per_class(self, data: Data) -> int:
        """How many of a set are of a class, if all classes have as many."""
        most = self.most_samples(data)
        return min(self.samples, self.samples if most is None else most) // (data.classes or 1)

    def compare_classes(
        self, real: Features, real_labels: RealLabels, fake: FakeFeatures, fake_labels: FakeLabels
    ) -> dict[str, Scalar]:
        distances = [within(real[real_labels == c], fake[fake_labels == c]) for c in range(self.classes)]
        return {"intra_fd": torch.stack(distances).mean()}


def within(real: Features, fake: FakeFeatures) -> Scalar:
    """The distance of one class; NaN where one of the two has no covariance."""
    if min(len(real), len(fake)) < 2:
        return real.new_tensor(math.nan, dtype=torch.float64)
    return frechet_distance(real, fake)
