"""L_D = −E[a] + E[b], L_G = −E[b]: values, the distance that a bounded D finds, the warning of an unbounded one."""

import logging

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ganduel.loss.wasserstein import Wasserstein, warn_of_unbounded_discriminator
from ganduel.penalty.clip_weights import ClipWeights
from ganduel.penalty.gradient_penalty import GradientPenalty
from ganduel.penalty.r1 import R1


def test_values_by_hand():
    real, fake = torch.tensor([1.0, 5.0]), torch.tensor([-2.0, 0.0])
    assert Wasserstein().discriminator(real, fake) == -4
    assert Wasserstein().generator(None, fake) == 1
    row = Wasserstein().statistics(real, fake)
    assert row["wasserstein/estimate"] == 4
    assert not [key for key in row if key.startswith("d/")]


def test_a_constant_changes_nothing_for_d():
    real, fake = torch.randn(2, 6).double()
    shifted = Wasserstein().discriminator(real + 100, fake + 100)
    torch.testing.assert_close(shifted, Wasserstein().discriminator(real, fake))


def test_the_best_bounded_discriminator_finds_the_distance():
    """Between samples 3 apart, D(x) = x has slope 1 and −L_D = 3; with half the slope it is less."""
    x = torch.tensor([3.0, 4.0])
    assert Wasserstein().discriminator(x, x - 3) == -3
    assert Wasserstein().discriminator(x / 2, (x - 3) / 2) == -1.5


@pytest.mark.parametrize(
    ("net", "penalties", "warned"),
    [
        (nn.Linear(2, 1), [], True),
        (nn.Linear(2, 1), [R1()], True),
        (nn.Linear(2, 1), [R1(), GradientPenalty()], False),
        (nn.Linear(2, 1), [ClipWeights()], False),
        (nn.Sequential(spectral_norm(nn.Linear(2, 2))), [], False),
    ],
)
def test_a_discriminator_that_nothing_bounds_is_warned_of_once(net, penalties, warned, caplog):
    warn_of_unbounded_discriminator.cache_clear()
    with caplog.at_level(logging.WARNING, "ganduel"):
        Wasserstein().check(net, penalties)
        Wasserstein().check(net, penalties)
    assert [record.getMessage() for record in caplog.records] == warned * [
        "loss=wasserstein: nothing keeps D's slope bounded, and it will grow without end. Use "
        "penalty=[gradient_penalty], penalty=[clip_weights] or a D with norm=spectral."
    ]
