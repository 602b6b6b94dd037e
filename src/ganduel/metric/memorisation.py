"""`metric=memorisation`: whether G repeats training images. Formulae: ganduel.metric.functional.memorisation.

Samples are compared with all training images, those of the validation split included; the floor is what held-out
images have. A generator that copies is below the floor in nearest and in fd_train, and far above it in copies, where
`fd`, to held-out images, sees nothing wrong with it.
"""

import math
from typing import Any

import torch

from ganduel.data.base import Data, Split, TensorData, fingerprint
from ganduel.metric.base import SampleMetric
from ganduel.metric.features import FakeFeatures, Features, extractor
from ganduel.metric.functional.frechet import frechet_distance
from ganduel.metric.functional.memorisation import memorisation
from ganduel.types import Scalar

BATCH = 500


class Memorisation(SampleMetric):
    """Distances to the training data.

    Args:
        samples: the number of each.
        features: the name of the features; None: the data's own, or those of colour images.
    """

    quantities = {"nearest": None, "copies": False, "repeats": False, "fd_train": None}  # noqa: RUF012
    ranges = {  # noqa: RUF012
        "nearest": (0.0, math.inf),
        "copies": (0.0, 1.0),
        "repeats": (0.0, 1.0),
        "fd_train": (0.0, math.inf),
    }
    uses_real = False  # but all training samples, which are no draw
    automatic = False  # the features of all training images may take minutes

    @property
    def knobs(self) -> dict[str, Any]:
        return {"train": self.train_checksum}

    def inapplicable_reason(self, data: Data) -> str | None:
        if not isinstance(data, TensorData) or "test" not in data.splits:
            return "it needs training samples that are stored, and others held out"
        return super().inapplicable_reason(data)

    def real_split(self, data: Data) -> Split:
        return "train"

    def fit_to(self, data: Data) -> None:
        super().fit_to(data)
        assert isinstance(data, TensorData)
        train = torch.cat([data.samples_of(split).cpu() for split in data.splits if split != "test"])
        extract = extractor(self.features, torch.device("cpu"))
        with torch.no_grad():
            self.train_features = torch.cat([extract(rows) for rows in train.split(BATCH)])
        self.train_checksum = fingerprint(train)["checksum"]

    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        train = self.train_features.to(fake.device)
        return memorisation(train, fake)._asdict() | {"fd_train": frechet_distance(train, fake)}
