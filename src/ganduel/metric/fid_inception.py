"""`metric=fid_inception`: FID as it is defined, on 50,000 samples and Inception's features; key fid.

For images; grey ones are shown to Inception in three equal channels. It needs Inception's weights: see
ganduel.metric.features. Source: Heusel et al. 2017 (arXiv:1706.08500).
"""

import math

from ganduel.data.base import Data, Split
from ganduel.metric.base import SampleMetric
from ganduel.metric.features import FakeFeatures, Features
from ganduel.metric.functional.frechet import frechet_distance
from ganduel.types import Scalar


class FIDInception(SampleMetric):
    """The Fréchet Inception distance to the training images, as papers have it.

    Args:
        samples: the number of each.
    """

    quantities = {"fid": False}  # noqa: RUF012
    ranges = {"fid": (0.0, math.inf)}  # noqa: RUF012
    automatic = False
    default_samples = 50_000

    def __init__(self, samples: int | None = None):
        super().__init__(samples, "inception")

    def inapplicable_reason(self, data: Data) -> str | None:
        return None if len(data.shape) == 3 and data.shape[0] in (1, 3) else "its samples are no images"

    def real_split(self, data: Data) -> Split:
        return "train"

    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        return {"fid": frechet_distance(real, fake)}
