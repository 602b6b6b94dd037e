"""What an iteration sees follows from the seed and its number: on any device, on any number of ranks."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganduel import rng
from ganduel.batch import Batch, Batches, Minibatch
from ganduel.data.base import TensorData
from ganduel.model.dropout import Dropout


def draw_noise(n: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, 3, generator=generator)


@pytest.fixture
def batches() -> Callable[..., Batches]:
    """A function that makes batches of twelve numbers in two classes."""

    def make(labelled: bool = False, **options: int) -> Batches:
        samples = torch.arange(12.0).view(12, 1)
        labels = (torch.arange(12) % 2) if labelled else None
        return Batches(TensorData(samples, labels), draw_noise, **{"k": 2, "batch_size": 4, "seed": 5, **options})

    return make


def tensors(b: Minibatch) -> list[Tensor]:
    return [x for x in (b.real, b.labels, b.noise, b.fake_labels) if x is not None]


def minibatches(batch: Batch) -> list[Minibatch]:
    return [*batch.discriminator, batch.generator]


@pytest.mark.parametrize("labelled", [False, True])
def test_an_iteration_sees_the_same_whenever_it_is_asked_for(batches, labelled):
    first, again = batches(labelled), batches(labelled)
    for t in (40, 3, 40):
        pairs = zip(minibatches(first(t)), minibatches(again(t)), strict=True)
        for b, c in pairs:
            assert all(torch.equal(*pair) for pair in zip(tensors(b), tensors(c), strict=True))


def test_each_update_has_minibatches_of_its_own(batches):
    batch = batches()(1)
    assert len(batch.discriminator) == 2
    noise = torch.stack([b.noise for b in minibatches(batch)])
    assert torch.equal(noise, torch.randn(32 * 12, 3, generator=rng.generator(5, "noise", 0)).view(32, 3, 4, 3)[1])
    order = torch.randperm(12, generator=rng.generator(5, "order", 0))
    assert batch.discriminator[0].real.flatten().tolist() == order[8:12].tolist()  # the third minibatch of the epoch
    assert batch.generator.real is batch.discriminator[-1].real
    assert batch.generator.labels is batch.generator.fake_labels is None


def test_labels_go_with_their_samples_and_those_of_generated_ones_are_drawn(batches):
    made = batches(labelled=True)
    seen = torch.cat([b.fake_labels for t in range(40) for b in minibatches(made(t))])
    assert set(seen.tolist()) == {0, 1}
    for b in made(7).discriminator:
        assert torch.equal(b.labels, b.real.flatten().long() % 2)


def test_ranks_have_their_rows_of_the_same_minibatches(batches):
    whole, parts = batches(labelled=True), [batches(labelled=True) for _ in range(2)]
    for rank, part in enumerate(parts):
        part.to(torch.device("cpu"), rank, 2)
    for t in (0, 33):
        for i, b in enumerate(minibatches(whole(t))):
            rows = [tensors(minibatches(part(t))[i]) for part in parts]
            assert all(torch.equal(x, torch.cat(halves)) for x, *halves in zip(tensors(b), *rows, strict=True))


def test_draws_begin_anew_in_each_iteration(batches):
    made, x = batches(), torch.zeros(4, 2)
    made(3)
    first = made.draws.uniform(x)
    assert not torch.equal(made.draws.uniform(x), first)
    made(4)
    assert not torch.equal(made.draws.uniform(x), first)
    made(3)
    assert torch.equal(made.draws.uniform(x), first)
    made.seed_draws(3, "saturation")
    assert not torch.equal(made.draws.uniform(x), first)


def test_layers_that_draw_are_given_the_draws(batches):
    net = nn.Sequential(nn.Linear(1, 1), Dropout(0.5))
    net.device = torch.device("cpu")
    made = batches()
    made.attach(net, 0, 1)
    assert net[1].draws is made.draws
