"""DRAGAN against slopes by hand, and how far from the data it looks."""

import pytest
import torch
from minibatches import critic, minibatch

from ganduel.penalty.dragan import Dragan


def test_linear_discriminator():
    """Weight · (|w| − 1)², wherever it looks; generated samples are not numbers."""
    w, real = torch.tensor([3.0, 4.0]), torch.randn(5, 2)
    value = Dragan(2.0)(critic(lambda x: x @ w), minibatch(real), torch.full((5, 2), float("nan")))
    assert value.item() == pytest.approx(2 * 16)


def test_it_looks_around_the_data_by_up_to_half_their_spread():
    """D = ½ |x|² has slope |x̂|: x̂ = x + α · ½ σ · u, with one α for each sample and one u for each value."""
    real = 5 + 2 * torch.randn(64, 3).double()
    value = Dragan(1.0)(critic(lambda x: x.square().sum(1) / 2), minibatch(real), real)
    draws = minibatch(real).draws
    alpha, u = draws.uniform(real[:, 0]), draws.uniform(real)
    x = real + alpha[:, None] * real.std(correction=0) / 2 * u
    assert value.item() == pytest.approx((x.norm(dim=1) - 1).square().mean().item())
