"""`metric=neighbours`: precision, recall, density, coverage. Formulae: ganduel.metric.functional.neighbours.

Precision and recall ask which samples lie in the balls around the other set (Kynkäänniemi et al. 2019, k = 3);
density and coverage are the answer to their weakness for outliers (Naeem et al. 2020, k = 5).
"""

import math
from typing import Any

from ganduel.errors import UserError
from ganduel.metric.base import SampleMetric
from ganduel.metric.features import FakeFeatures, Features
from ganduel.metric.functional.neighbours import neighbourhood
from ganduel.types import Scalar


class Neighbours(SampleMetric):
    """Quality and diversity apart.

    Args:
        samples: the number of each.
        features: the name of the features; None: the data's own.
        k: neighbours that make a ball, for precision and recall.
        k_coverage: the same for density and coverage.
    """

    quantities = {"precision": True, "recall": True, "density": True, "coverage": True}  # noqa: RUF012
    ranges = {  # noqa: RUF012
        "precision": (0.0, 1.0),
        "recall": (0.0, 1.0),
        "density": (0.0, math.inf),
        "coverage": (0.0, 1.0),
    }

    def __init__(self, samples: int | None = None, features: str | None = None, k: int = 3, k_coverage: int = 5):
        super().__init__(samples, features)
        for name, value in (("k", k), ("k_coverage", k_coverage)):
            if not 1 <= value < self.samples:
                raise UserError(f"{self.label}.{name}={value} must be from 1 to {self.samples - 1}.")
        self.k, self.k_coverage = k, k_coverage
        self.least_samples = max(k, k_coverage) + 1

    @property
    def knobs(self) -> dict[str, Any]:
        return {"k": self.k, "k_coverage": self.k_coverage}

    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        return neighbourhood(real, fake, self.k, self.k_coverage)._asdict()
