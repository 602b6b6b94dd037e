"""`metric=modes`: how many modes of a mixture are found, and how well. Formulae: ganduel.metric.functional.modes.

By the protocol of Srivastava et al. 2017 (VEEGAN): 2,500 samples, of high quality within 3σ of a centre. Real samples
themselves are, in the plane, by 1 − exp(−9/2) = 98.9%.
"""

from typing import Any

import torch

from ganduel.data.base import Data
from ganduel.metric.base import SampleMetric
from ganduel.metric.features import FakeFeatures, Features
from ganduel.metric.functional.modes import mode_coverage, mode_ranges
from ganduel.types import Scalar


class Modes(SampleMetric):
    """Modes with a sample of high quality, the share of these, and how unevenly they fall.

    Args:
        samples: the number of samples.
        within: the radius of high quality, in σ.
    """

    quantities = {"modes": True, "high_quality": True, "reverse_kl": False}  # noqa: RUF012
    uses_real = False
    default_samples = 2500

    def __init__(self, samples: int | None = None, within: float = 3.0):
        super().__init__(samples, "points")
        self.within = within

    @property
    def knobs(self) -> dict[str, Any]:
        return {"within": self.within}

    def inapplicable_reason(self, data: Data) -> str | None:
        return None if hasattr(data, "centres") else "it has no centres"

    def fit_to(self, data: Data) -> None:
        super().fit_to(data)
        self.centres, self.sigma = getattr(data, "centres", torch.empty(0)), getattr(data, "sigma", 0.0)
        self.ranges = {**mode_ranges(len(self.centres)), "high_quality": (0.0, 1.0)}

    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        coverage = mode_coverage(fake, self.centres.to(fake.device), self.sigma, self.within)
        values = {"modes": coverage.modes, "high_quality": coverage.high_quality, "reverse_kl": coverage.reverse_kl}
        return {name: torch.as_tensor(value, dtype=torch.float64) for name, value in values.items()}
