"""Stacks of three digits: what their channels are, which class they have, and that nothing but the key matters."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganduel.data.base import denormalise
from ganduel.data.mnist import MNIST
from ganduel.data.stacked_mnist import StackedMNIST
from ganduel.errors import UserError


@pytest.fixture(scope="module")
def stacks():
    return StackedMNIST()


@pytest.fixture(scope="module")
def digits():
    return MNIST()


def known(images):
    """What of an image can be looked up: its bytes."""
    return [image.numpy().tobytes() for image in images]


def test_shape_and_end(stacks):
    assert stacks.shape == (3, 28, 28)
    assert stacks.size is None
    assert stacks.modes == 1000
    assert stacks.splits == ("train", "validation", "test")


def test_each_channel_is_a_digit(stacks, digits):
    x = stacks.minibatch(0, 0, 16)[0]
    assert x.shape == (16, 3, 28, 28)
    assert x.dtype == torch.float32
    assert x.min() == -1
    assert x.max() == 1
    assert set(known(denormalise(x).flatten(0, 1))) <= set(known(digits.samples))


def test_channels_are_drawn_independently(stacks):
    """No stack of 200 shows one digit twice, and no digit is in two of its places."""
    x = stacks.minibatch(0, 0, 200)[0]
    assert len(set(known(x.flatten(0, 1)))) > 590


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(1, 8))
def test_minibatch_is_a_pure_function_of_seed_and_position(stacks, seed, position, batch_size):
    once = stacks.minibatch(seed, position, batch_size)[0]
    torch.manual_seed(position)
    assert torch.equal(stacks.minibatch(seed, position, batch_size)[0], once)


def test_another_object_gives_the_same_bits(stacks):
    assert torch.equal(StackedMNIST().minibatch(3, 5, 8)[0], stacks.minibatch(3, 5, 8)[0])


def test_minibatches_are_drawn_on_the_cpu_for_every_device(cpu_generators):
    """Here one without memory."""
    stacks = StackedMNIST()
    stacks.to(torch.device("meta"))
    x, labels = stacks.minibatch(3, 5, 8)
    assert labels is None
    assert x.device.type == "meta"
    assert cpu_generators


def test_seeds_and_positions_differ(stacks):
    minibatches = [stacks.minibatch(seed, position, 4)[0] for seed in range(4) for position in range(4)]
    assert len(set(known(minibatches))) == 16


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 30))
def test_rows_of_all_ranks_are_the_whole_minibatch(stacks, ranks, each, position):
    batch = ranks * each
    local = [stacks.minibatch(1, position, batch, slice(rank * each, (rank + 1) * each)) for rank in range(ranks)]
    assert torch.equal(torch.cat([x for x, _ in local]), stacks.minibatch(1, position, batch)[0])


def test_global_generator_is_not_used(stacks):
    before = torch.get_rng_state()
    stacks.minibatch(0, 3, 2)
    stacks.reference("test", 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_training_may_keep_the_validation_digits_out(digits):
    x = StackedMNIST(train_on="train").minibatch(0, 0, 100)[0]
    assert set(known(denormalise(x).flatten(0, 1))) <= set(known(digits.images("train")))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_reference_is_of_its_split(stacks, digits, split):
    images = stacks.reference(split, 50)
    assert images.shape == (50, 3, 28, 28)
    assert images.dtype == torch.uint8
    assert set(known(images.flatten(0, 1))) <= set(known(digits.images(split)))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_labels_are_those_of_the_reference(stacks, digits, split):
    """Each channel looked up among the digits; a few pictures are in MNIST twice, with one label."""
    label_of = dict(zip(known(digits.images(split)), digits.labels(split).tolist(), strict=True))
    images, labels = stacks.reference(split, 50, draw=3), stacks.labels(split, 50, draw=3)
    red, green, blue = ([label_of[key] for key in known(images[:, channel])] for channel in range(3))
    assert labels.tolist() == [100 * r + 10 * g + b for r, g, b in zip(red, green, blue, strict=True)]
    assert labels.dtype == torch.int64


def test_draws_of_a_reference_differ(stacks):
    assert len(set(known([stacks.reference("test", 20, draw) for draw in range(3)]))) == 3
    assert torch.equal(stacks.reference("test", 20, 1), stacks.reference("test", 20, 1))


def test_all_modes_are_there(stacks):
    """Of 26,000 a mode has 26 on average, and the rarest (555: five is the rarest digit) has 18."""
    counts = stacks.labels("train", 26_000).bincount(minlength=1000)
    assert len(counts) == stacks.modes
    assert (counts > 0).all()


@pytest.mark.usefixtures("untyped")
def test_unknown_split(stacks):
    for of in (stacks.reference, stacks.labels):
        with pytest.raises(UserError, match=r"StackedMNIST has no split train.validation. It has: train, validation"):
            of("train+validation", 3)


@pytest.mark.usefixtures("untyped")
def test_options_are_those_of_mnist():
    with pytest.raises(UserError, match=r"data.dir=nowhere is not a folder"):
        StackedMNIST(dir="nowhere")
    with pytest.raises(UserError, match=r"data.train_on=all is not known"):
        StackedMNIST(train_on="all")
