"""Minibatches as a pure function of (seed, position), and bytes to floats and back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from ganduel import rng
from ganduel.data.base import Data, TensorData, denormalise, normalise, rows_on
from ganduel.errors import UserError


def points(n):
    """The points 0, 1, …, n − 1, so that a minibatch says which rows it took."""
    return TensorData(torch.arange(n, dtype=torch.float32).unsqueeze(1))


def indices(data, seed, position, batch_size, rows=slice(None)):
    return data.minibatch(seed, position, batch_size, rows)[0].squeeze(1).int().tolist()


sizes = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@given(size_and_batch=sizes, seed=st.integers(0, 2**40), epoch=st.integers(0, 5))
def test_an_epoch_takes_no_sample_twice(size_and_batch, seed, epoch):
    """All it takes are there and distinct, and none is left over but what fills no minibatch."""
    n, batch = size_and_batch
    data, minibatches = points(n), n // batch
    taken = [i for place in range(minibatches) for i in indices(data, seed, epoch * minibatches + place, batch)]
    assert len(taken) == minibatches * batch > n - batch
    assert len(set(taken)) == len(taken)
    assert set(taken) <= set(range(n))


@given(size_and_batch=sizes, seed=st.integers(0, 99), positions=st.lists(st.integers(0, 300), min_size=1, max_size=5))
def test_minibatch_is_a_pure_function_of_seed_and_position(size_and_batch, seed, positions):
    """Whatever was asked before, of this object or of another: a resumed run asks first in the middle."""
    n, batch = size_and_batch
    used = points(n)
    in_turn = [indices(used, seed, position, batch) for position in positions]
    torch.manual_seed(positions[0])
    assert in_turn == [indices(points(n), seed, position, batch) for position in positions]


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 30))
def test_rows_of_all_ranks_are_the_whole_minibatch(ranks, each, position):
    """So the number of ranks changes no sample."""
    data, batch = points(35), ranks * each
    local = [indices(data, 1, position, batch, slice(rank * each, (rank + 1) * each)) for rank in range(ranks)]
    assert [i for rows in local for i in rows] == indices(data, 1, position, batch)


def test_a_fingerprint_knows_samples_order_and_labels():
    """The samples by themselves: a run with a condition is compared with one without."""
    x, y = torch.arange(12.0).reshape(4, 3), torch.tensor([0, 1, 0, 1])
    known = TensorData(x).fingerprint
    assert known is not None
    assert (known["samples"], known["shape"]) == (4, [3])
    assert TensorData(x.clone().T.contiguous().T).fingerprint == known, "the same in another layout of memory"
    labelled, otherwise = TensorData(x, y).fingerprint, TensorData(x, 1 - y).fingerprint
    assert labelled is not None
    assert otherwise is not None
    assert labelled | known == labelled
    assert labelled | {"labels": None} == otherwise | {"labels": None}
    assert labelled["labels"] != otherwise["labels"]
    others = [TensorData(x + 1), TensorData(x.flip(0)), TensorData(x.double())]
    checksums = {other.fingerprint["checksum"] for other in others if other.fingerprint is not None}
    assert len(checksums - {known["checksum"]}) == len(others)


def test_orders_differ_between_epochs_and_seeds():
    data = points(50)
    orders = [tuple(indices(data, seed, epoch, 50)) for seed in range(5) for epoch in range(5)]
    assert len(set(orders)) == 25
    assert tuple(range(50)) not in orders


def test_an_order_that_is_kept_is_not_taken_for_another_seeds():
    """One object that serves several runs of a process."""
    data = points(20)
    assert indices(data, 0, 0, 20) != indices(data, 1, 0, 20)
    assert indices(data, 1, 0, 20) == indices(points(20), 1, 0, 20)


def test_left_over_samples_get_their_turn():
    """10 samples in minibatches of 4 leave 2 an epoch, others each time."""
    data = points(10)
    assert {i for position in range(20) for i in indices(data, 0, position, 4)} == set(range(10))


def test_places_of_an_order_are_unbiased():
    """Each sample comes first about equally often: 600 epochs of 6, a deviation of 5 sigma fails."""
    data = points(6)
    first = torch.tensor([indices(data, 0, 6 * epoch, 1)[0] for epoch in range(600)]).bincount(minlength=6)
    assert (first - 100).abs().max() < 5 * (600 * 1 / 6 * 5 / 6) ** 0.5


def test_global_generator_is_not_used():
    before = torch.get_rng_state()
    points(9).minibatch(0, 3, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_shape_and_size():
    data = TensorData(torch.zeros(7, 1, 2, 3, dtype=torch.uint8))
    assert data.shape == (1, 2, 3)
    assert data.size == 7
    assert data.minibatch(0, 0, 4)[0].shape == (4, 1, 2, 3)


def test_samples_are_not_changed_by_use():
    for samples in (torch.arange(8, dtype=torch.uint8).reshape(4, 2), torch.rand(4, 2)):
        data = TensorData(samples.clone())
        data.minibatch(0, 0, 4)[0].add_(100)
        assert torch.equal(data.samples, samples)


def test_a_batch_beyond_the_data_is_refused():
    with pytest.raises(UserError, match=r"batch_size=6 is more than the 5 samples.*Try 5 or less"):
        points(5).minibatch(0, 0, 6)


def test_bytes_and_floats_are_inverse_on_all_256():
    every = torch.arange(256, dtype=torch.uint8)
    floats = normalise(every)
    assert floats[0] == -1
    assert floats[255] == 1
    assert floats.dtype == torch.float32
    assert torch.equal(denormalise(floats), every)


@given(st.floats(-1, 1), st.sampled_from([torch.float64, torch.float32]))
def test_denormalise_takes_the_nearest_byte(value, dtype):
    """At most half a step off, where truncation would be off by nearly one."""
    byte = denormalise(torch.tensor([value], dtype=dtype)).item()
    assert abs(byte - (value + 1) * 127.5) <= 0.5 + 1e-4


def test_denormalise_clamps():
    """No byte wraps around."""
    assert denormalise(torch.tensor([-1.01, -9.0, 1.01, 9.0, 1e30])).tolist() == [0, 0, 255, 255, 255]


def test_denormalise_leaves_its_argument():
    x = torch.tensor([0.5])
    denormalise(x)
    assert x.item() == 0.5


def test_points_keep_their_values():
    """In torch's default type."""
    x = torch.tensor([[3.5, -200.0]], dtype=torch.float64)
    assert normalise(x).tolist() == [[3.5, -200.0]]
    assert normalise(x).dtype == torch.get_default_dtype()


def test_minibatches_of_several_seeds_are_those_of_each():
    class Two(Data):
        shape = (1,)

        def minibatch(self, seed, position, batch_size, rows=slice(None)):
            return torch.full((batch_size, 1), 100.0 * seed + position)[rows], None

    class Labelled(Two):
        classes = 10

        def minibatch(self, seed, position, batch_size, rows=slice(None)):
            return super().minibatch(seed, position, batch_size, rows)[0], torch.full((batch_size,), seed)[rows]

    samples, labels = torch.arange(24, dtype=torch.uint8).view(12, 2), torch.arange(12) % 5
    for data in (TensorData(samples), Two(), TensorData(samples, labels), Labelled()):
        x, y = data.minibatches((3, 1), 7, 4, slice(1, 3))
        pairs = [data.minibatch(seed, 7, 4) for seed in (3, 1)]
        assert torch.equal(x, torch.stack([x[1:3] for x, _ in pairs]))
        if data.classes is None:
            assert y is None
        else:
            assert torch.equal(y, torch.stack([y[1:3] for _, y in pairs]))


@given(st.integers(0, 9), st.integers(0, 30))
def test_labels_are_those_of_the_samples(seed, position):
    """Sample i has class i % 3."""
    samples = torch.arange(10, dtype=torch.float32).unsqueeze(1)
    data = TensorData(samples, torch.arange(10) % 3)
    x, y = data.minibatch(seed, position, 4, slice(1, 4))
    assert data.classes == 3
    assert y.dtype == torch.int64
    assert torch.equal(x.squeeze(1).long() % 3, y)
    assert torch.equal(x, TensorData(samples).minibatch(seed, position, 4, slice(1, 4))[0])  # labels move no draw


def test_without_labels_there_are_no_classes():
    data = points(4)
    assert data.classes is None
    assert data.minibatch(0, 0, 2)[1] is None
    with pytest.raises(AssertionError, match="TensorData has no classes"):
        data.draw_labels(3, rng.generator("test"))


def test_labels_belong_to_samples():
    for labels, message in (([0, 1], "2 labels for 3 samples"), ([0, -1, 1], "numbers from 0")):
        with pytest.raises(AssertionError, match=message):
            TensorData(torch.zeros(3, 2), torch.tensor(labels))


def test_drawn_labels_are_uniform_over_the_classes():
    """9,000 draws of 3 classes: each 3,000, and five standard deviations are 224."""
    data = TensorData(torch.zeros(3, 2), torch.arange(3))
    labels = data.draw_labels(9_000, rng.generator("test"))
    assert labels.dtype == torch.int64
    assert ((labels.bincount(minlength=3) - 3_000).abs() < 5 * (9_000 * 1 / 3 * 2 / 3) ** 0.5).all()
    assert torch.equal(labels, data.draw_labels(9_000, rng.generator("test")))


def test_order_and_labels_are_drawn_on_the_cpu(cpu_generators):
    """Whatever the training device, here one without memory."""
    data = TensorData(torch.zeros(4, 2), torch.arange(4))
    data.to(torch.device("meta"))
    x, y = data.minibatch(0, 0, 2)
    assert (x.device.type, y.device.type) == ("meta", "meta")
    assert data.draw_labels(3, rng.generator("test")).device.type == "cpu"
    assert cpu_generators


class WithoutGPU(TorchFunctionMode):
    """Keeps tensors on the CPU, and a list of what was to be pinned and of what was to be copied."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.empty:
            self.calls.append(("empty", kwargs.pop("pin_memory")))
        if func is torch.Tensor.to:
            self.calls.append(("to", args[1].type, kwargs["non_blocking"]))
            return args[0]
        return func(*args, **kwargs)


def test_rows_go_to_a_gpu_through_pinned_memory():
    """Else each minibatch would wait for the work on the GPU before it."""
    samples = torch.arange(24, dtype=torch.uint8).view(4, 2, 3)
    indices = torch.tensor([3, 0, 3])
    with WithoutGPU() as mode:
        rows = rows_on(torch.device("cuda"), samples, indices)
    assert mode.calls == [("empty", True), ("to", "cuda", True)]
    assert torch.equal(rows, samples[indices])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_rows_on_a_gpu_are_those_of_the_host():
    samples = torch.arange(24, dtype=torch.uint8).view(4, 2, 3)
    indices = torch.tensor([3, 0, 3])
    assert torch.equal(rows_on(torch.device("cuda"), samples, indices).cpu(), samples[indices])
