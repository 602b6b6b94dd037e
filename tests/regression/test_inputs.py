"""What users give to train on, where once it was trained on to nonsense, passed over, or not measured."""

import logging
import math
import struct

import pytest
import torch
from torch import nn

from ganduel import rng
from ganduel.callback import statistics
from ganduel.callback.finite import Finite
from ganduel.callback.statistics import Statistics
from ganduel.data.base import Data, TensorData
from ganduel.data.mnist import MD5, MNIST
from ganduel.errors import UserError
from ganduel.factory.gan import build_gan
from ganduel.loss.base import Loss
from ganduel.metric.evaluation import Evaluation
from ganduel.metric.neighbours import Neighbours
from ganduel.model.base import Discriminator, Generator
from ganduel.run.run import failure


class Table(TensorData):
    """Rows of numbers."""

    features = "points"


class Stream(Data):
    """Points that are drawn, with a hole in one minibatch."""

    shape = (2,)

    def __init__(self, hole=None, value=math.nan):
        self.hole, self.value = hole, value

    def minibatch(self, seed, position, batch_size, rows=slice(None)):
        x = torch.randn(batch_size, 2, generator=rng.generator(seed, "data", position))
        if position == self.hole:
            x[2, 1] = self.value
        return x[rows], None


def test_a_hole_in_a_table_is_counted_when_data_are_built():
    """It was "D's loss became nan … Try smaller learning rates", and a repeated sweep left the run diverged."""
    table = torch.randn(512, 2)
    table[17, 1] = math.nan
    with pytest.raises(UserError, match=r"Table has NaN in 1 of 512 samples \(the first has index 17\)") as error:
        Table(table)
    assert failure(error.value)["status"] == "failed"


@pytest.mark.parametrize(("hole", "iteration"), [(0, None), (5, 3), (10, 6)])
@pytest.mark.parametrize(("value", "name"), [(math.nan, "NaN"), (math.inf, "infinity")])
def test_a_hole_in_data_that_are_drawn_is_no_divergence(fit, tiny, hole, iteration, value, name):
    """At two updates of D per iteration; in the first minibatch before training."""
    with pytest.raises(UserError, match=f"{name} in 1 of 4 samples") as error:
        fit(callbacks=[Finite()], gan=build_gan(tiny("k=2", "ema=null"), Stream(hole, value)))
    assert iteration is None or f"in iteration {iteration};" in str(error.value)
    assert failure(error.value)["status"] == "failed"


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_images_of_integers_are_trained_on_as_bytes(dtype):
    """They were given to D as 0…255, where G's tanh ends at 1."""
    images = torch.arange(256).reshape(4, 1, 8, 8)
    x, _ = TensorData(images.to(dtype)).minibatch(0, 0, 4)
    assert torch.equal(x, TensorData(images.to(torch.uint8)).minibatch(0, 0, 4)[0])
    assert (x.min(), x.max()) == (-1, 1)


class EndsInSigmoid(Discriminator):
    """What losses on probabilities want."""

    def __init__(self, linear=False):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(6, 1), nn.Identity() if linear else nn.Sigmoid())

    def forward(self, x):
        return self.net(x).squeeze(1)


class LeastSquares(Loss):
    """Its logits stand for no probability, and 0 and 1 are its targets."""

    def discriminator(self, real, fake):
        return (real - 1).square().mean() + fake.square().mean()

    def generator(self, real, fake):
        return (fake - 1).square().mean()


@pytest.mark.parametrize(
    ("linear", "loss", "steps", "asked"),
    [(False, None, 9, True), (True, None, 9, False), (False, LeastSquares(), 9, False), (False, None, 6, False)],
    ids=["sigmoid", "logits", "least squares", "too short to tell"],
)
def test_a_discriminator_that_ends_in_a_sigmoid_is_asked_about(
    fit, tiny, images, caplog, monkeypatch, linear, loss, steps, asked
):
    """The loss takes the sigmoid of it once more: D is never below 1/2, and nothing said so."""
    monkeypatch.setattr(statistics, "FIRST_ITERATIONS", 7)
    gan = build_gan(tiny(), images)
    gan.discriminator, gan.loss = EndsInSigmoid(linear), loss or gan.loss
    fit(f"trainer.max_steps={steps}", callbacks=[Statistics(1)], gan=gan)
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert (
        lines
        == [
            "D's logits stayed in [0, 1] in all 7 rows so far: does D end in a sigmoid? "
            "NonSaturating takes logits, of any real value: return the sigmoid's input."
        ]
        * asked
    )


class Shuffled(Generator):
    """Gives the training samples in another order."""

    def __init__(self, data):
        super().__init__(noise_dim=1)
        self.samples = data.minibatch(0, 0, data.size)[0]

    def forward(self, z):
        return self.samples[: len(z)]


def encode(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.numpy().tobytes()


def test_a_small_set_in_idx_files_has_metrics(tmp_path, caplog):
    """It was refused: "keeps the last 10000 images for validation, of only 200. Use train_on=train+validation"."""
    shipped, (train, _, test, _) = MNIST(), MD5
    (tmp_path / train).write_bytes(encode(shipped.images("train")[:200, 0].contiguous()))
    (tmp_path / test).write_bytes(encode(shipped.images("test")[:50, 0].contiguous()))
    data = MNIST(dir=str(tmp_path))
    with caplog.at_level(logging.INFO, logger="ganduel"):
        values = Evaluation(data)(Shuffled(data))
    assert set(values) == {
        f"{name}/mnist_cnn_50" for name in ("fd", "kd", "precision", "recall", "density", "coverage")
    }
    assert all(math.isfinite(value.value) and math.isfinite(value.floor) for value in values.values())
    assert values["fd/mnist_cnn_50"].value < 2 * values["fd/mnist_cnn_50"].floor
    assert [record.getMessage() for record in caplog.records] == [
        "metric.frechet, metric.kernel, metric.neighbours: 50 samples each, "
        "as MNIST has no more real ones for them and their floors"
    ]


def test_too_small_a_set_for_one_metric_has_the_others():
    """Neighbourhoods of five need six samples."""
    keys = {
        key.partition("/")[0] for metric in Evaluation(Table(torch.randn(11, 2))).metrics for key in metric.directions
    }
    assert keys == {"fd", "kd"}


def test_more_samples_than_there_are_names_a_number_that_would_do():
    with pytest.raises(UserError, match=r"Try metric\.neighbours\.samples=50\."):
        Evaluation(Table(torch.randn(100, 2)), [Neighbours(samples=80)])


@pytest.mark.parametrize("shape", [(1, 32), (32,), (3, 8), (4, 4, 4)])
def test_series_are_measured_by_their_values(shape):
    """Points alone were; the features of a series are its values, flattened."""
    series = Table(torch.randn(100, *shape))
    flat = Table(series.samples.flatten(1))
    values, expected = Evaluation(series)(Shuffled(series)), Evaluation(flat)(Shuffled(flat))
    assert values["fd/points_50"].value == expected["fd/points_50"].value
    assert values["fd/points_50"].floor == expected["fd/points_50"].floor > 0
