"""A generator that copies its training data is caught, and one that draws from their density is not."""

import numpy as np
import pytest
import torch
from replay import Replay

from ganduel.data.base import TensorData, normalise
from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError
from ganduel.metric.evaluation import Evaluation
from ganduel.metric.frechet import FrechetDistance
from ganduel.metric.memorisation import Memorisation


class Cloud(TensorData):
    """Points in eight dimensions; 600 to train on, of which 100 are for validation, and 300 held out."""

    features = "points"
    splits = ("train", "validation", "test")

    def __init__(self):
        self.points = torch.randn(1200, 8, generator=torch.Generator().manual_seed(0))
        super().__init__(self.points[:600])

    def samples_of(self, split):
        return self.points[{"train": slice(500), "validation": slice(500, 600), "test": slice(600, 900)}[split]]


def measured(samples):
    """The values of these samples and their floors, by quantity."""
    values = Evaluation(Cloud(), [Memorisation(), FrechetDistance()])(Replay(samples))
    return {key.partition("/")[0]: value for key, value in values.items()}


def test_a_copier_is_caught():
    """A fault that the distance to held-out points does not show; copies of validation points count as well."""
    copier = measured(Cloud().points[300:600] + 1e-4)
    assert copier["copies"].value == 1
    assert copier["copies"].floor < 0.05
    assert copier["nearest"].value < 0.01 * copier["nearest"].floor
    assert copier["fd"].value == pytest.approx(copier["fd"].floor, abs=0.1)
    assert copier["fd_train"].value < 0.7 * copier["fd_train"].floor


def test_a_good_generator_is_at_the_floor():
    good = measured(Cloud().points[900:])
    assert good["copies"].value < 0.05
    assert good["repeats"].value < 0.05
    assert good["nearest"].value == pytest.approx(good["nearest"].floor, rel=0.1)
    assert good["fd_train"].value > 0.9 * good["fd_train"].floor


def test_a_generator_that_repeats_itself_is_caught():
    few = measured(Cloud().points[900:910].repeat(30, 1))
    assert few["repeats"].value == 1
    assert few["repeats"].floor < 0.05


def test_its_protocol_has_all_training_data():
    data = Cloud()
    before = Evaluation(data, [Memorisation()]).protocols
    data.points[599] += 1  # of the validation split
    after = Evaluation(data, [Memorisation()]).protocols
    key = "copies/points_300"
    assert before[key]["knobs"] == {"train": Cloud().fingerprint["checksum"]}
    assert before[key]["hash"] != after[key]["hash"]


def test_it_needs_stored_data_with_some_held_out():
    for data in (Ring8(), TensorData(torch.zeros(9, 2))):
        with pytest.raises(UserError, match=r"metric\.memorisation does not fit .* stored, and others held out"):
            Memorisation().fit_to(data)
    assert not Memorisation.automatic


class Drawings(TensorData):
    """Images of 4×4 pixels; 600 to train on, of which 100 are for validation, and 300 held out."""

    features = "pixels"
    splits = ("train", "validation", "test")

    def __init__(self):
        self.images = torch.randint(256, (900, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        super().__init__(self.images[:600])

    def samples_of(self, split):
        return self.images[{"train": slice(500), "validation": slice(500, 600), "test": slice(600, 900)}[split]]


def test_the_picture_has_the_nearest_samples_over_their_training_images():
    """Two copies among five hundred images of noise come first, one of a training image, one of validation."""
    data = Drawings()
    samples = torch.rand(500, 1, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1
    samples[17], samples[60] = normalise(data.images[3]), normalise(data.images[550])
    metric = Memorisation()
    metric.fit_to(data)
    picture = np.array(metric.picture(data, Replay(samples)))
    assert picture.shape == (6 * 6 - 2, 8 * 6 - 2), "three times a row of samples and one of training images"
    cells = [[picture[6 * i : 6 * i + 4, 6 * j : 6 * j + 4] for j in range(8)] for i in range(6)]
    shown = {cell.tobytes() for cell in cells[0]}
    assert {data.images[i].numpy().tobytes() for i in (3, 550)} <= shown, "the samples of the first row"
    for above, below in zip(cells[0], cells[1], strict=True):
        distance = data.images[:600].double().sub(torch.from_numpy(above)).flatten(1).norm(dim=1)
        assert (below == data.images[distance.argmin()].numpy()).all()


def test_points_have_no_picture():
    metric = Memorisation()
    metric.fit_to(Cloud())
    assert metric.picture(Cloud(), Replay(Cloud().points)) is None
