"""The Fréchet distance within classes."""

import math

import pytest
import torch

from ganduel.data.base import TensorData
from ganduel.errors import UserError
from ganduel.metric.functional import frechet_distance
from ganduel.metric.intra_frechet import IntraFrechet


def fitted(samples: int | None = None) -> IntraFrechet:
    metric = IntraFrechet(samples, features="points")
    metric.fit_to(TensorData(torch.randn(400, 2), torch.arange(400) % 2))
    return metric


def test_it_is_the_mean_of_the_classes_distances():
    """Classes of other sizes among the real samples; the distance of all together is another."""
    real, fake = torch.randn(90, 2), torch.randn(60, 2) + 1
    y, asked = torch.arange(90) % 3 // 2, torch.arange(60) % 2
    metric = fitted()
    metric.update(real, True, y)
    metric.update(fake, False, asked)
    each = [frechet_distance(real[y == c], fake[asked == c]) for c in (0, 1)]
    assert metric.compute()["intra_fd/points_200"].item() == pytest.approx(((each[0] + each[1]) / 2).item())


def test_exchanged_classes_are_seen_though_the_mixture_is_right():
    """Class 0 at −3 and class 1 at 3, and the reverse: the distance within is 6², that of all is about 0."""
    y = torch.arange(200) % 2
    real = torch.randn(200, 2) + (6.0 * y - 3)[:, None] * torch.tensor([1.0, 0])
    metric = fitted()
    metric.update(real, True, y)
    metric.update(real, False, 1 - y)
    assert metric.compute()["intra_fd/points_200"].item() == pytest.approx(36, rel=0.15)
    assert frechet_distance(real, real).item() == pytest.approx(0, abs=1e-9)


def test_a_class_without_samples_has_no_distance():
    metric = fitted()
    metric.update(torch.randn(6, 2), True, torch.tensor([0, 0, 0, 0, 0, 1]))
    metric.update(torch.randn(6, 2), False, torch.arange(6) % 2)
    assert math.isnan(metric.compute()["intra_fd/points_200"])


def test_more_classes_than_a_set_has_pairs():
    data = TensorData(torch.randn(40, 2), torch.arange(40) % 15)
    with pytest.raises(UserError, match="15 classes make 1 of each in a set, and 2 are needed"):
        IntraFrechet(features="points").fit_to(data)
