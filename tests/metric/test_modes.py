"""Modes of a mixture: centres and σ come from the data."""

import math

import pytest
import torch

from ganduel.data.mnist import MNIST
from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError
from ganduel.metric.modes import Modes


def values(world, fake, **knobs):
    metric = Modes(**knobs)
    metric.fit_to(world)
    metric.update(fake[:2], real=True)
    metric.update(fake, real=False)
    return {key: value.item() for key, value in metric.compute().items()}


def test_real_samples_find_all_modes():
    """And 98.9% of them are within 3σ, as 1 − exp(−9/2) says; five standard errors."""
    found = values(Ring8("pacgan"), Ring8("pacgan").reference("test", 2500))
    assert found["modes/points_2500"] == 8
    share = 1 - math.exp(-4.5)
    assert found["high_quality/points_2500"] == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 2500))
    assert found["reverse_kl/points_2500"] < 0.01


def test_a_collapsed_generator_finds_one():
    world = Ring8("pacgan")
    fake = world.centres[3].float() + 0.005 * torch.randn(100, 2)
    found = values(world, fake)
    assert found["modes/points_2500"] == 1
    assert found["reverse_kl/points_2500"] == pytest.approx(math.log(8))


def test_radius_of_high_quality():
    world = Ring8("veegan")
    fake = world.centres.float() + torch.tensor([0.03, 0.0])  # 1.5 σ away
    assert values(world, fake, within=1.0)["high_quality/points_2500"] == 0
    assert values(world, fake, within=2.0)["high_quality/points_2500"] == 1


def test_images_have_no_centres():
    with pytest.raises(UserError, match=r"metric\.modes does not fit MNIST: it has no centres"):
        Modes().fit_to(MNIST())
