"""Mixtures of Gaussians: what is drawn has the density that is stated, and a draw is a function of its key."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from ganduel import rng
from ganduel.data.mixture import Mixture
from ganduel.errors import UserError

CENTRES = [[-1.0, 0.0], [2.0, 1.0], [2.0, 3.0]]


@pytest.fixture
def world():
    return Mixture(CENTRES, 0.5)


def test_log_prob_is_scipys(world):
    x = torch.randn(20, 2, dtype=torch.float64) * 3
    parts = [stats.multivariate_normal(centre, 0.25).pdf(x.numpy()) for centre in CENTRES]
    np.testing.assert_allclose(world.log_prob(x).numpy(), np.log(np.mean(parts, 0)), rtol=1e-12)


def test_density_integrates_to_one_and_log_prob_keeps_the_axes(world):
    line = Mixture([[0.0], [3.0]], 0.3)
    total, _ = integrate.quad(lambda x: line.log_prob(torch.tensor([x], dtype=torch.float64)).exp().item(), -5, 8)
    assert total == pytest.approx(1, abs=1e-8)
    assert world.log_prob(torch.zeros(4, 5, 2)).shape == (4, 5)


def test_log_prob_far_away_is_finite_in_float32():
    """A thousand σ from every centre: −½ 10⁶ and no −inf."""
    value = Mixture([[0.0]], 0.01).log_prob(torch.tensor([[10.0]]))
    assert value.item() == pytest.approx(-5e5, rel=1e-4)


def test_draws_have_the_moments_of_the_density(world):
    """To within five standard errors of 100,000 draws."""
    n = 100_000
    x = world.draw(n, rng.generator("test")).double()
    centres = torch.tensor(CENTRES, dtype=torch.float64)
    spread = centres.var(0, correction=0) + 0.25
    assert ((x.mean(0) - centres.mean(0)).abs() < 5 * (spread / n).sqrt()).all()
    nearest = torch.cdist(x, centres).argmin(1).bincount(minlength=3) / n
    within = (x - centres[0])[torch.cdist(x, centres).argmin(1) == 0]
    assert within.std().item() == pytest.approx(0.5, rel=0.02)
    assert (nearest - 1 / 3).abs().max() < 0.02  # the upper two overlap a little, by symmetry equally


def test_minibatch_is_a_function_of_seed_and_position(world):
    x, labels = world.minibatch(3, 7, 10)
    assert labels is None
    assert torch.equal(x, Mixture(CENTRES, 0.5).minibatch(3, 7, 10)[0])
    assert not torch.equal(x, world.minibatch(3, 8, 10)[0])
    assert not torch.equal(x, world.minibatch(4, 7, 10)[0])


def test_local_rows_are_cut_out_of_the_same_minibatch(world):
    """So that the number of ranks changes no sample."""
    x, _ = world.minibatch(0, 0, 10)
    assert torch.equal(world.minibatch(0, 0, 10, slice(5, 10))[0], x[5:])


def test_references_are_independent_sets(world):
    sets = [world.reference(*key) for key in (("train", 50, 0), ("test", 50, 0), ("test", 50, 1))]
    assert all(x.shape == (50, 2) for x in sets)
    assert len({x[0, 0].item() for x in sets}) == 3
    with pytest.raises(UserError, match=r"no split validation\. It has: train, test"):
        world.reference("validation", 5)


def test_never_ends_and_leaves_the_global_generator_alone(world):
    state = torch.get_rng_state()
    world.minibatch(0, 10**9, 4)
    world.reference("test", 4)
    assert world.size is None
    assert torch.equal(torch.get_rng_state(), state)


def test_float64_on_request(world):
    torch.set_default_dtype(torch.float64)
    try:
        assert world.minibatch(0, 0, 3)[0].dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_bounds_reach_beyond_the_centres(world):
    lower, upper = world.bounds(margin=4.0)
    assert lower.tolist() == [-3, -2]
    assert upper.tolist() == [4, 5]


@pytest.mark.parametrize(
    ("centres", "sigma", "message"),
    [
        ([], 1.0, "same number of coordinates"),
        ([[0.0], [1.0, 2.0]], 1.0, "same number of coordinates"),
        ([[]], 1.0, "same number of coordinates"),
        ([[0.0]], 0.0, "data.sigma=0.0 must be positive"),
        ([[0.0]], math.nan, "data.sigma=nan must be positive"),
    ],
)
def test_what_is_no_mixture_is_refused(centres, sigma, message):
    with pytest.raises(UserError, match=message):
        Mixture(centres, sigma)


def test_minibatches_of_several_seeds_are_those_of_each(world):
    """Also over the end of a block, for another batch size and for some of the rows."""
    for position in (0, 31, 32, 5):
        stacked, labels = world.minibatches((3, 1), position, 6, slice(2, 5))
        assert labels is None
        for points, seed in zip(stacked, (3, 1), strict=True):
            assert torch.equal(points, Mixture(CENTRES, 0.5).minibatch(seed, position, 6)[0][2:5])
    assert not torch.equal(world.minibatch(3, 31, 6)[0], world.minibatch(3, 32, 6)[0])
    assert world.minibatch(3, 5, 4)[0].shape == (4, 2)


def test_minibatches_are_drawn_on_the_cpu_for_every_device(world, cpu_generators):
    """Also where others of the same block have been on another device; here one without memory."""
    world.minibatch(0, 0, 4)
    world.to(torch.device("meta"))
    assert world.minibatch(0, 0, 4)[0].device.type == "meta"
    assert len(cpu_generators) == 2
