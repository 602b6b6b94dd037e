"""`metric=frechet`: the Fréchet distance, key fd. Formula and source: ganduel.metric.functional.frechet."""

import math

from ganduel.metric.base import SampleMetric
from ganduel.metric.features import FakeFeatures, Features
from ganduel.metric.functional.frechet import frechet_distance
from ganduel.types import Scalar


class FrechetDistance(SampleMetric):
    """Distance of the Gaussians that fit the features; in squared units of the features, 0 at best."""

    quantities = {"fd": False}  # noqa: RUF012 - read only, as all of these
    ranges = {"fd": (0.0, math.inf)}  # noqa: RUF012

    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        return {"fd": frechet_distance(real, fake)}
