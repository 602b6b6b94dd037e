"""Streams belong to their keys: the same for the same key, unrelated for any other, and unseen from outside."""

from itertools import product

import pytest
import torch

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

    def draw(number):
        drawn.append(number)
        return torch.arange(32.0) + 32 * number

    blocks = rng.Blocks(draw)
    numbers = [*range(70), 3, 40]
    assert [blocks(i).item() for i in numbers] == numbers
    assert drawn == [0, 1, 2, 0, 1]
