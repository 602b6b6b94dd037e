"""Generators measured beside the floor: what is good is near it, each kind of fault is told by some metric."""

import math

import pytest
import torch
from replay import Replay

from ganduel.data.base import TensorData
from ganduel.data.mnist import MNIST
from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError
from ganduel.metric.evaluation import Evaluation, number
from ganduel.metric.frechet import FrechetDistance
from ganduel.metric.kernel import KernelDistance
from ganduel.metric.modes import Modes
from ganduel.metric.neighbours import Neighbours
from ganduel.model.base import Generator


@pytest.fixture(scope="module")
def digits():
    return MNIST()


def plain(values):
    return {key.partition("/")[0]: value for key, value in values.items()}


def test_a_perfect_generator_is_at_the_floor():
    """Independent draws of the data's own density."""
    world = Ring8("pacgan")
    evaluation = Evaluation(world, [Modes(2000), FrechetDistance(2000), KernelDistance(2000), Neighbours(2000)])
    values = plain(evaluation(Replay(world.reference("train", 2000, draw=7))))
    assert values["modes"].value == values["modes"].floor == 8
    assert values["high_quality"].value == pytest.approx(values["high_quality"].floor, abs=0.01)
    for name in ("fd", "kd"):
        assert abs(values[name].value - values[name].floor) < 0.02
    for name in ("precision", "recall", "coverage"):
        assert values[name].value == pytest.approx(values[name].floor, abs=0.05)


def test_floor_is_real_against_real_and_is_made_once(monkeypatch):
    world = Ring8()
    metric = FrechetDistance(samples=600)
    evaluation = Evaluation(world, [metric])
    first = evaluation(Replay(torch.zeros(600, 2)))["fd/points_600"]
    expected = FrechetDistance(samples=600)
    expected.fit_to(world)
    expected.update(world.reference("test", 600), real=True)
    expected.update(world.reference("train", 600), real=False)
    assert first.floor == expected.compute()["fd/points_600"].item()
    monkeypatch.setattr(world, "reference", None)
    assert evaluation(Replay(torch.ones(600, 2)))["fd/points_600"].value != first.value


def test_the_given_metrics_are_left_as_they_were():
    metric = FrechetDistance(samples=50)
    Evaluation(Ring8(), [metric])(Replay(torch.zeros(50, 2)))
    assert metric.features == ""
    assert metric.fake == []


def test_draws_give_a_standard_error():
    world = Ring8()
    generator = Replay(world.reference("train", 3000, draw=9))
    value = Evaluation(world, [FrechetDistance(samples=1000)], draws=3)(generator)["fd/points_1k"]
    singles = []
    for draw in range(3):
        metric = FrechetDistance(samples=1000)
        metric.fit_to(world)
        metric.update(world.reference("test", 1000, draw), real=True)
        metric.update(generator.samples[draw * 1000 : (draw + 1) * 1000], real=False)
        singles.append(metric.compute()["fd/points_1k"].item())
    values = torch.tensor(singles, dtype=torch.float64)
    assert value.value == pytest.approx(values.mean().item())
    assert value.error == pytest.approx((values.std() / math.sqrt(3)).item())


def test_noise_is_evaluations_own():
    """The same for every call, another one for another draw; the global generator is not touched."""

    class Listening(Generator):
        def __init__(self):
            super().__init__(noise_dim=2)
            self.heard = []

        def forward(self, z):
            self.heard.append(z)
            return z

    generator, evaluation = Listening(), Evaluation(Ring8(), [FrechetDistance(samples=10)], draws=2)
    state = torch.get_rng_state()
    evaluation(generator)
    evaluation(generator)
    one, two, again, _ = generator.heard
    assert torch.equal(one, again)
    assert not torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_conditional_generator_gets_all_classes_over_batches_too(monkeypatch):
    """Sample i of a draw is of class i modulo the classes, here 5 of them in batches of 8."""

    class Conditional(Generator):
        classes = 5

        def __init__(self):
            super().__init__(noise_dim=2)
            self.labels = []

        def forward(self, z, y):
            self.labels.extend(y.tolist())
            return z

    monkeypatch.setattr("ganduel.metric.evaluation.BATCH", 8)
    generator = Conditional()
    Evaluation(Ring8(), [FrechetDistance(samples=20)], draws=2)(generator)
    assert generator.labels == [i % 5 for i in range(20)] * 2


def test_mode_of_the_generator_is_kept():
    generator = Replay(torch.zeros(20, 2)).train()
    Evaluation(Ring8(), [FrechetDistance(samples=20)])(generator)
    assert generator.training


def test_batch_norm_runs_in_evaluation_mode():
    """On statistics of its training, not of the batch that is evaluated; and its statistics stay."""

    class Normed(Replay):
        def __init__(self, samples):
            super().__init__(samples)
            self.norm = torch.nn.BatchNorm1d(2, affine=False)

        def forward(self, z):
            return self.norm(super().forward(z))

    samples = Ring8().reference("train", 60) * 3
    generator = Normed(samples).train()
    found = Evaluation(Ring8(), [FrechetDistance(samples=60)])(generator)["fd/points_60"].value
    plain = Evaluation(Ring8(), [FrechetDistance(samples=60)])(Replay(samples))["fd/points_60"].value
    assert found == pytest.approx(plain, rel=1e-4)  # as mean 0 and variance 1 are where a BatchNorm starts
    assert generator.norm.num_batches_tracked == 0


def test_real_sets_of_draws_and_floors_are_all_different():
    """Also where the data have one split alone."""

    class OneSplit(Ring8):
        splits = ("train",)

    for data in (OneSplit(), Ring8()):
        sets = Evaluation(data, [FrechetDistance(samples=20)], draws=3).real_sets()
        points = torch.cat([real.samples for real in sets])
        assert len(points.unique(dim=0)) == 6 * 20


def test_a_floor_shares_no_sample_with_what_it_is_compared_with():
    """Of one split each of the two sets is a half, at most; a common sample would lower the floor."""
    data = TensorData(torch.arange(101.0).unsqueeze(1))
    sets = Evaluation(data, [FrechetDistance(features="points")]).real_sets()
    real, other = (each.samples for each in sets)
    assert len(real) == len(other) == 50
    assert len(torch.cat([real, other]).unique()) == 100
    assert torch.equal(real, data.reference("train", 50))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_each_metric_gets_its_number_of_samples_from_all_ranks(monkeypatch, ranks):
    """Metrics of several sizes at once, none of them a multiple of the batch or of the ranks."""
    counts = {77: 0, 501: 0, 1203: 0}
    update = FrechetDistance.update

    def count(self, features, real, labels=None):
        counts[self.samples] += len(features)
        update(self, features, real)

    monkeypatch.setattr(FrechetDistance, "update", count)
    for rank in range(ranks):
        evaluation = Evaluation(Ring8(), [FrechetDistance(samples=n) for n in counts], ranks=(rank, ranks))
        made = evaluation.generated(Replay(torch.rand(1203, 2)), 0)
        evaluation.gather(evaluation.metrics, made, False, lambda n: None)
    assert counts == {77: 77, 501: 501, 1203: 1203}


def test_metrics_of_other_sizes_take_the_first_samples():
    world = Ring8("pacgan")
    samples = torch.cat([world.reference("train", 300), torch.full((700, 2), 9.0)])
    found = Evaluation(world, [Modes(samples=300), Modes(samples=1000)])(Replay(samples))
    assert found["high_quality/points_300"].value > 0.97
    assert found["high_quality/points_1k"].value == pytest.approx(0.3, abs=0.02)


def test_two_ranks_are_the_whole(monkeypatch):
    """The rows that two ranks take are all rows, each once; at sizes that do not divide as well."""
    rows = []
    monkeypatch.setattr(FrechetDistance, "update", lambda self, x, real: rows.append(x) if not real else None)
    monkeypatch.setattr(FrechetDistance, "compute", lambda self: dict.fromkeys(self.directions, torch.tensor(0.0)))
    samples = torch.arange(1202.0).reshape(601, 2)
    for ranks in ((0, 2), (1, 2)):
        evaluation = Evaluation(Ring8(), [FrechetDistance(samples=601)], ranks=ranks)
        evaluation.prepare()
        rows_before = len(rows)
        evaluation(Replay(samples))
        rows[rows_before:] = [torch.cat(rows[rows_before:])]
    found = torch.cat([part for part in rows if len(part) in (300, 301) and part.max() > 50])
    assert torch.equal(found.sort(0).values, samples)


# Each with the metric that tells it, and the side of the floor on which it is told.
FAULTS = {
    "blurred": lambda x: torch.nn.functional.avg_pool2d(x, 5, 1, 2),
    "shifted": lambda x: x.roll(3, 3),
    "lacks a digit": None,
    "memorised": None,
}


@pytest.mark.parametrize(
    "fault", [name if name == "shifted" else pytest.param(name, marks=pytest.mark.slow) for name in FAULTS]
)
def test_constructed_fakes_are_told(digits, fault):
    """2,000 training images, changed; the unchanged ones are at the floor."""
    n = 2000
    images, labels = digits.images("train")[:6000], digits.labels("train")[:6000]
    real = images[:n].float() / 127.5 - 1
    metrics = [FrechetDistance(samples=n), KernelDistance(samples=n), Neighbours(samples=n)]
    evaluation = Evaluation(digits, metrics)
    good = plain(evaluation(Replay(real)))
    if fault == "lacks a digit":
        fake = images[labels != 4][:n].float() / 127.5 - 1
    elif fault == "memorised":
        fake = real[:50].repeat(n // 50, 1, 1, 1)
    else:
        fake = FAULTS[fault](real)
    bad = plain(evaluation(Replay(fake)))
    assert good["fd"].value < 2 * good["fd"].floor
    assert bad["fd"].value > 3 * good["fd"].value
    assert bad["kd"].value > 3 * abs(good["kd"].value) + good["kd"].floor
    told = {"blurred": "precision", "shifted": "precision", "lacks a digit": "coverage", "memorised": "recall"}[fault]
    assert bad[told].value < good[told].value - 0.03


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Evaluation(TensorData(torch.zeros(9, 1, 4, 4))), r"no metric is known to fit TensorData"),
        (
            lambda: Evaluation(TensorData(torch.zeros(9, 1, 4, 4)), [FrechetDistance(features="mnist_cnn")]),
            r"the features mnist_cnn do not fit samples of shape \(1, 4, 4\)",
        ),
        (lambda: Evaluation(Ring8(), [Modes(), Modes()]), r"two metrics have the same key"),
        (lambda: Evaluation(Ring8(), draws=0), r"draws=0 must be at least 1"),
        (lambda: Evaluation(Ring8(), [FrechetDistance(samples=9)])(Replay(torch.full((9, 2), math.nan))), r"NaN"),
        (
            lambda: Evaluation(Ring8(), [FrechetDistance(samples=9)])(Replay(torch.zeros(9, 3))),
            r"samples of shape \(3,\), and its data have \(2,\)",
        ),
        (
            lambda: Evaluation(TensorData(torch.rand(9, 2)), [FrechetDistance(5, "points")]),
            r"metric\.frechet\.samples=5: TensorData has real samples for sets of 4, the floor's included\. "
            r"Try metric\.frechet\.samples=4\.",
        ),
        (
            lambda: Evaluation(TensorData(torch.rand(3, 2)), [FrechetDistance(features="points")]),
            r"metric\.frechet does not fit TensorData: its real samples make sets of 1, and 2 are needed",
        ),
    ],
)
def test_what_cannot_be_measured_is_said(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    ("x", "text"), [(19.8234, "19.8"), (8.0, "8"), (0.000123456, "0.000123"), (math.inf, "inf"), (math.nan, "nan")]
)
def test_numbers_have_three_digits(x, text):
    assert number(x) == text
