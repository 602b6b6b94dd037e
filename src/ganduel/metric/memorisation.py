"""`metric=memorisation`: whether G repeats training images. Formulae: ganduel.metric.functional.memorisation.

Samples are compared with all training images, those of the validation split included; the floor is what held-out
images have. A generator that copies is below the floor in nearest and in fd_train, and far above it in copies, where
`fd`, to held-out images, sees nothing wrong with it.
"""

import hashlib
import math
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ganduel import rng
from ganduel.data.base import Data, Split, TensorData, bytes_of, denormalise
from ganduel.image_grid import class_labels, generate_stored, make_grid
from ganduel.metric.base import SampleMetric
from ganduel.metric.features import FakeFeatures, Features, extractor
from ganduel.metric.functional.distance import squared_distances
from ganduel.metric.functional.frechet import frechet_distance
from ganduel.metric.functional.memorisation import memorisation, nearest_distances
from ganduel.model.base import Generator
from ganduel.types import Scalar

BATCH = 500
AMONG = 1000  # samples of which the nearest are shown
PAIRS = 24
COLUMNS = 8


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
        extract, digest, features = extractor(self.features, self.device), hashlib.sha256(), []
        for split in trained_on(data):
            for indices in torch.arange(data.count(split)).split(BATCH):
                rows = data.rows_of(split, indices)
                digest.update(bytes_of(rows))
                features.append(extract(rows.to(self.device)))
        self.train_features = torch.cat(features).cpu()
        self.train_checksum = digest.hexdigest()[:16]

    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        train = self.train_features.to(fake.device)
        return memorisation(train, fake)._asdict() | {"fd_train": frechet_distance(train, fake)}

    @torch.no_grad()
    def picture(self, data: Data, generator: Generator) -> Image.Image | None:
        """Of 1,000 samples the 24 that are nearest to a training image, in rows above these."""
        if not data.is_image:
            return None
        assert isinstance(data, TensorData)
        noise = generator.draw(AMONG, rng.generator("evaluate", 0))
        samples = generate_stored(generator, noise, data.shape, True, labels=class_labels(generator, AMONG))
        extract, train = extractor(self.features, self.device), self.train_features.double()
        features = torch.cat([extract(rows.to(self.device)) for rows in samples.split(BATCH)]).cpu().double()
        chosen = nearest_distances(features, train).argsort()[:PAIRS]
        numbers = squared_distances(features[chosen], train)[0].argmin(1).tolist()
        nearest = torch.cat([training_image(data, number) for number in numbers])
        rows = [
            rows for pair in zip(samples[chosen].split(COLUMNS), nearest.split(COLUMNS), strict=True) for rows in pair
        ]
        return make_grid(torch.cat(rows), COLUMNS)


def trained_on(data: TensorData) -> list[Split]:
    """All splits but that of held-out samples."""
    return [split for split in data.splits if split != "test"]


def training_image(data: TensorData, number: int) -> Tensor:
    """The one of this number, counted through all splits that are trained on, as bytes (1, channel, height, width)."""
    for split in trained_on(data):
        if number < (count := data.count(split)):
            image = data.rows_of(split, torch.tensor([number]))
            return image if image.dtype == torch.uint8 else denormalise(image)
        number -= count
    raise IndexError(number)
