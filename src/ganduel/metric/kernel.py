"""`metric=kernel`: the kernel distance, key kd. Formula and source: ganduel.metric.functional.kernel."""

from ganduel.metric.base import SampleMetric
from ganduel.metric.features import FakeFeatures, Features
from ganduel.metric.functional.kernel import kernel_distance
from ganduel.types import Scalar


class KernelDistance(SampleMetric):
    """Unbiased squared maximum mean discrepancy of the features; around 0 at best, and below it by chance."""

    quantities = {"kd": False}  # noqa: RUF012

    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        return {"kd": kernel_distance(real, fake)}
