"""Noise: its distribution, its range, and that it comes from the generator it is given."""

import math

import pytest
import torch

from ganduel import rng
from ganduel.errors import UserError
from ganduel.model.base import reseeded, uses_batch_statistics
from ganduel.model.dropout import Dropout
from ganduel.model.mlp import MLPDiscriminator, MLPGenerator


def draw(noise, n=40_000, dim=3, seed=0):
    return MLPGenerator((2,), noise_dim=dim, noise=noise, hidden=[]).draw(n, rng.generator(seed))


@pytest.mark.parametrize(("noise", "kurtosis"), [("normal", 3.0), ("uniform", 1.8)])
def test_moments(noise, kurtosis):
    """Zero mean and unit variance in each coordinate, so that they are exchangeable; the fourth tells them apart."""
    z = draw(noise).double()
    assert z.mean(0).abs().max() < 5 / math.sqrt(40_000)
    assert (z.var(0) - 1).abs().max() < 5 * math.sqrt((kurtosis - 1) / 40_000)
    assert z.pow(4).mean().item() == pytest.approx(kurtosis, rel=0.03)
    assert (torch.corrcoef(z.T) - torch.eye(3)).abs().max() < 0.03


def test_uniform_support_is_all_of_plus_minus_root_three():
    z = draw("uniform")
    assert z.abs().max() <= math.sqrt(3)
    assert z.max() > 1.73
    assert z.min() < -1.73


@pytest.mark.parametrize("noise", ["normal", "uniform"])
def test_draws_follow_the_given_generator_alone(noise):
    before = torch.get_rng_state()
    assert torch.equal(draw(noise, 5, seed=1), draw(noise, 5, seed=1))
    assert not torch.equal(draw(noise, 5, seed=1), draw(noise, 5, seed=2))
    stream = rng.generator(0)
    network = MLPGenerator((2,), noise_dim=3, noise=noise, hidden=[])
    before = torch.get_rng_state()
    assert not torch.equal(network.draw(5, stream), network.draw(5, stream))
    assert torch.equal(torch.get_rng_state(), before)


def test_shape_and_type():
    z = draw("normal", 7, 5)
    assert z.shape == (7, 5)
    assert z.dtype == torch.float32


@pytest.mark.parametrize("dim", [0, -3])
def test_refuses_noise_without_dimensions(dim):
    with pytest.raises(UserError, match=f"model.generator.noise_dim={dim}: .*Try 64"):
        MLPGenerator((2,), noise_dim=dim)


@pytest.mark.usefixtures("untyped")
def test_refuses_an_unknown_distribution():
    with pytest.raises(UserError, match=r"model.generator.noise=cauchy is not known. There are: normal, uniform"):
        MLPGenerator((2,), noise="cauchy")


@pytest.mark.parametrize(
    ("norm", "expected"), [("none", False), ("layer", False), ("spectral", False), ("batch", True)]
)
def test_batch_statistics_are_found(norm, expected):
    assert uses_batch_statistics(MLPDiscriminator((2,), hidden=[3], norm=norm)) is expected


def test_layers_that_draw_at_random_are_found_by_name():
    """A user's own too, by the method alone; torch's Dropout, which cannot be told anything, is not among them."""

    class Noisy(torch.nn.Module):
        def reseed(self, key, batch_size, share):
            pass

    g = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Sequential(Noisy()))
    d = torch.nn.Sequential(Dropout(0.5), torch.nn.Dropout(0.5))
    assert reseeded(generator=g, discriminator=d) == {"generator.1.0": g[1][0], "discriminator.0": d[0]}
