"""Streams belong to their keys: the same for the same key, unrelated for any other, and unseen from outside."""

import random
from copy import deepcopy
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganduel import rng


def test_no_two_keys_of_a_grid_collide():
    """Neighbouring seeds, steps and uses, as runs have them."""
    keys = list(product(range(30), ("noise", "order", "grid"), range(100)))
    assert len({rng.seed_of(*key) for key in keys}) == len(keys)


def test_seeds_fit_torch_and_use_all_bits():
    """63 bits: torch takes no negative seed the same way on all devices, and no bit is stuck."""
    seeds = [rng.seed_of(i) for i in range(200)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    ones = 0
    zeros = 0
    for seed in seeds:
        ones |= seed
        zeros |= ~seed
    assert ones == 2**63 - 1
    assert zeros & (2**63 - 1) == 2**63 - 1


@pytest.mark.parametrize(
    ("one", "other"), [((1,), ("1",)), ((1, 2), (12,)), ((1, "2"), ("1", 2)), ((0, "a"), ("a", 0)), ((0,), (0, 0))]
)
def test_type_order_and_number_of_parts_matter(one, other):
    assert rng.seed_of(*one) != rng.seed_of(*other)


def test_values_are_pinned():
    """Runs of other machines and other days draw these too; a change here breaks every resume."""
    assert rng.seed_of(0, "noise", 0) == 333594243501737407
    assert rng.seed_of(1, "order", 7) == 6374741137579390896


def test_streams_are_pure_functions_of_the_key():
    first = torch.randn(5, generator=rng.generator(3, "noise", 41))
    torch.randn(100, generator=rng.generator(3, "noise", 40))
    again = torch.randn(5, generator=rng.generator(3, "noise", 41))
    assert torch.equal(first, again)
    assert not torch.equal(first, torch.randn(5, generator=rng.generator(3, "noise", 42)))


def test_neighbouring_streams_are_uncorrelated():
    """|r| of 20,000 normal draws exceeds 0.035 once in a million."""
    draws = torch.stack([torch.randn(20_000, generator=rng.generator(0, "noise", t)) for t in range(6)])
    correlations = torch.corrcoef(draws) - torch.eye(6)
    assert correlations.abs().max() < 0.035


def test_generator_is_on_the_device_asked_for():
    assert rng.generator(0).device == torch.device("cpu")
    assert rng.generator(0, device="cpu").device == torch.device("cpu")
    with pytest.raises(RuntimeError):
        rng.generator(0, device="nowhere")


def test_seeded_draws_from_the_key_whatever_the_global_seed():
    torch.manual_seed(1)
    with rng.seeded(5, "generator"):
        one = torch.randn(4)
    torch.manual_seed(2)
    with rng.seeded(5, "generator"):
        other = torch.randn(4)
    assert torch.equal(one, other)


def test_seeded_leaves_the_global_generator_untouched():
    """After a failure inside as well."""
    before = torch.get_rng_state()
    with rng.seeded(0):
        torch.randn(10)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(RuntimeError), rng.seeded(0):
        torch.randn(10).reshape(3, 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.usefixtures("untyped")  # beartype draws from Python's generator
def test_all_seeded_draws_likewise_from_numpy_and_python():
    """Which are left untouched as well."""
    before, torch_state, drawn = rng.host_states(), torch.get_rng_state(), []
    for key in ((5, "generator"), (5, "generator"), (6, "generator")):
        with rng.all_seeded(*key):
            drawn.append((random.random(), float(np.random.rand()), float(torch.rand(()))))  # noqa: NPY002
    assert drawn[0] == drawn[1]
    assert len({*drawn[0], *drawn[2]}) == 6
    assert rng.host_states() == before
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.usefixtures("untyped")
def test_a_draw_changes_the_states_of_the_host():
    for name, draw in (("Python", random.random), ("numpy", np.random.rand)):
        before = rng.host_states()
        with rng.all_seeded(0):
            seeded = rng.host_states()
            draw()
            assert [key for key, state in rng.host_states().items() if state != seeded[key]] == [name]
        assert rng.host_states() == before


def test_seeded_leaves_gpu_generators_untouched(monkeypatch):
    """torch.manual_seed would reseed those as well, and nothing would put them back."""

    def reseed(seed):
        raise AssertionError("the GPU's generator was reseeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", reseed)
    with rng.seeded(0):
        torch.randn(1)


def test_a_block_is_drawn_once_for_all_that_is_in_it():
    """Whatever is asked for first, number i is the same; only the last block is kept."""
    drawn = []

    def draw(block):
        drawn.append(block)
        return torch.arange(32.0) + 32 * block

    cache = rng.BlockCache(draw)
    numbers = [*range(70), 3, 40]
    assert [cache(i).item() for i in numbers] == numbers
    assert drawn == [0, 1, 2, 0, 1]


def draws_of(key=(0, "update", 7), batch_size=4, rows=slice(None)):
    """Draws at the beginning of the stream of a key."""
    draws = rng.Draws("cpu", batch_size, rows)
    draws.seed(*key)
    return draws


KINDS = {
    "uniform": lambda draws, x: draws.uniform(x),
    "normal": lambda draws, x: draws.normal(x),
    "bernoulli": lambda draws, x: draws.bernoulli(x, 0.3),
}
EACH_KIND = pytest.mark.parametrize("draw", KINDS.values(), ids=KINDS)


@pytest.mark.parametrize(
    ("kind", "mean", "variance", "fourth"),
    [("uniform", 1 / 2, 1 / 12, 1 / 80), ("normal", 0, 1, 3), ("bernoulli", 0.3, 0.21, 0.21 * (1 - 3 * 0.21))],
)
def test_each_kind_has_its_distribution(kind, mean, variance, fourth):
    """Mean and variance to five standard errors of 40,000 draws; `fourth` is the fourth central moment."""
    values = KINDS[kind](draws_of(batch_size=100), torch.empty(100, 400)).double()
    n = values.numel()
    assert values.mean().item() == pytest.approx(mean, abs=5 * (variance / n) ** 0.5)
    assert values.var().item() == pytest.approx(variance, abs=5 * ((fourth - variance**2) / n) ** 0.5)


def test_ranges():
    uniform, bernoulli = (KINDS[kind](draws_of(), torch.empty(4, 9000)) for kind in ("uniform", "bernoulli"))
    assert 0 <= uniform.min() < 0.001
    assert 0.999 < uniform.max() <= 1
    assert bernoulli.unique().tolist() == [0, 1]


@EACH_KIND
def test_the_same_key_gives_the_same_draws_and_any_other_others(draw):
    x = torch.empty(4, 50)
    first = draw(draws_of(), x)
    torch.manual_seed(99)  # the global generator has no say
    assert torch.equal(draw(draws_of(), x), first)
    for key in ((1, "update", 7), (0, "saturation", 7), (0, "update", 8)):
        assert not torch.equal(draw(draws_of(key), x), first)


@EACH_KIND
def test_seeding_begins_the_stream_again_and_calls_go_on_in_it(draw):
    draws, x = draws_of(), torch.empty(4, 50)
    first, second = draw(draws, x), draw(draws, x)
    assert not torch.equal(first, second)
    draws.seed(0, "update", 7)
    assert torch.equal(draw(draws, x), first)
    assert torch.equal(draw(draws, x), second)


@EACH_KIND
def test_neither_the_global_generator_nor_x_is_touched(draw):
    state, x = torch.get_rng_state(), torch.ones(4, 3)
    draw(draws_of(), x)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, torch.ones(4, 3))


@EACH_KIND
@given(ranks=st.integers(1, 4), rows=st.integers(1, 3), minibatches=st.integers(1, 3), width=st.integers(1, 5))
def test_ranks_take_their_rows_of_the_global_draw(draw, ranks, rows, minibatches, width):
    """Of each minibatch in the call: real samples above generated ones."""
    n = ranks * rows
    whole = draw(draws_of(batch_size=n), torch.empty(minibatches * n, width)).unflatten(0, (minibatches, n))
    for rank in range(ranks):
        local = slice(rank * rows, (rank + 1) * rows)
        part = draw(draws_of(batch_size=n, rows=local), torch.empty(minibatches * rows, width))
        assert torch.equal(part, whole[:, local].flatten(0, 1))


@EACH_KIND
def test_ranks_stay_in_step_over_several_calls(draw):
    """After calls of other shapes each rank is at the same place in the stream."""
    whole, part = draws_of(batch_size=6), draws_of(batch_size=6, rows=slice(2, 4))
    for shape in ((6, 3), (12, 2, 2), (6, 1)):
        expected = draw(whole, torch.empty(shape)).unflatten(0, (-1, 6))[:, 2:4].flatten(0, 1)
        assert torch.equal(draw(part, torch.empty(shape[0] // 3, *shape[1:])), expected)


@EACH_KIND
def test_minibatches_of_one_call_differ(draw):
    values = draw(draws_of(), torch.empty(8, 50))
    assert not torch.equal(values[:4], values[4:])


@EACH_KIND
def test_shape_and_type_are_those_of_x(draw):
    """Images, fewer rows than a minibatch as a D has that packs two samples into one, and each precision."""
    for shape in ((8, 3, 5, 5), (2, 6), (4,)):
        assert draw(draws_of(), torch.empty(shape)).shape == shape
    for dtype in (torch.float64, torch.bfloat16):
        values = draw(draws_of(), torch.empty(4, 3, dtype=dtype))
        assert (values.dtype, values.device) == (dtype, torch.device("cpu"))


class Noise(nn.Module, rng.KeyedRandom):
    def forward(self, x):
        return x + self.draws.normal(x)


def test_a_copy_of_a_network_draws_from_where_the_network_does():
    """So that network and copy go on in one stream; nothing is copied but the layer."""
    layer, x = Noise(), torch.zeros(4, 3)
    assert layer.draws is None
    layer.draws = draws_of()
    copy = deepcopy(nn.Sequential(layer))[0]
    assert copy is not layer
    assert copy.draws is layer.draws
    expected = draws_of()
    for net in (layer, copy, layer):
        assert torch.equal(net(x), expected.normal(x))


def test_draws_are_no_part_of_the_state():
    """Each iteration seeds them: a checkpoint needs nothing of them."""
    layer = Noise()
    layer.draws = draws_of()
    assert layer.state_dict() == {}
