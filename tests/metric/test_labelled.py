"""Metrics of samples with classes: they need them, keep them beside the features, and get them from all ranks."""

import pytest
import torch

from ganduel.data.base import TensorData
from ganduel.data.mnist import MNIST
from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError
from ganduel.metric.accuracy import Accuracy
from ganduel.metric.evaluation import Evaluation
from ganduel.metric.frechet import FrechetDistance
from ganduel.metric.intra_frechet import IntraFrechet
from ganduel.model.base import Generator


def labelled_ring() -> Ring8:
    world = Ring8()
    world.use_labels()
    return world


class Centres(Generator):
    """A G that gives the centre of its class; every fourth sample that of the next class."""

    classes = 8

    def __init__(self, wrong=4):
        super().__init__(1, "normal")
        self.centres, self.wrong = Ring8().centres.float(), wrong

    def draw(self, n, generator):
        return torch.arange(float(n))[:, None]

    def forward(self, z, y):
        return self.centres[(y + (z[:, 0] % self.wrong == 0)) % 8]


def test_sample_i_was_asked_for_as_class_i_mod_classes():
    """Over several batches, whose length is no multiple of the classes."""
    found = Evaluation(labelled_ring(), [Accuracy(samples=1204), FrechetDistance(samples=1204)])(Centres())
    assert found["accuracy/points_1204"].value == 0.75
    assert found["accuracy/points_1204"].floor == 1.0


def test_ranks_have_their_rows_of_the_classes():
    kept = []
    for rank in range(3):
        evaluation = Evaluation(labelled_ring(), [Accuracy(samples=100)], ranks=(rank, 3))
        evaluation.gather(evaluation.metrics, evaluation.generated(Centres(), 0), False, lambda n: None)
        kept.append(torch.cat(evaluation.metrics[0].fake_labels))
    assert [len(labels) for labels in kept] == [34, 33, 33]
    assert torch.equal(torch.cat(kept).sort().values, (torch.arange(100) % 8).sort().values)


def test_forgetting_the_generated_keeps_the_classes_of_the_real():
    metric = IntraFrechet(samples=16)
    metric.fit_to(labelled_ring())
    x, y = torch.randn(4, 2), torch.tensor([0, 1, 0, 1])
    metric.update(x, True, y)
    metric.update(x, False, y)
    metric.forget_fake()
    assert (len(metric.real_labels), len(metric.fake_labels)) == (1, 0)


def test_without_classes_it_does_not_fit():
    for metric in (Accuracy(), IntraFrechet()):
        with pytest.raises(
            UserError, match=r"does not fit Ring8: its samples have no classes here\. They have where a c"
        ):
            metric.fit_to(Ring8())
    metric = Accuracy()
    metric.fit_to(labelled_ring())
    with pytest.raises(UserError, match=r"metric\.accuracy: G makes samples without classes"):
        metric.update(torch.zeros(3, 2), False)


def test_other_classes_of_the_same_samples_are_another_protocol():
    """The reference of one is not taken for the other's, and their hashes differ; those of other metrics do not."""
    samples, labels = torch.randn(40, 2), torch.arange(40) % 2
    worlds = [TensorData(samples, labels), TensorData(samples, 1 - labels)]
    evaluations = [Evaluation(w, [IntraFrechet(features="points"), FrechetDistance(features="points")]) for w in worlds]
    intra, fd = ([e.protocols[key]["hash"] for e in evaluations] for key in ("intra_fd/points_20", "fd/points_20"))
    assert intra[0] != intra[1]
    assert fd[0] == fd[1]
    assert evaluations[0].reference_key != evaluations[1].reference_key


def test_references_have_the_classes_of_their_samples():
    """Of a split each, chosen as the samples are: the digits are those of the images."""
    data = MNIST()
    assert data.reference_labels("test", 5) is None
    data.use_labels()
    images, labels = data.reference("test", 50, draw=2), data.reference_labels("test", 50, draw=2)
    index = [(data.images("test") == image).flatten(1).all(1).nonzero()[0, 0] for image in images]
    assert torch.equal(labels, data.labels("test")[index])
    points, components = (ask("test", 200, 3) for ask in (labelled_ring().reference, labelled_ring().reference_labels))
    assert torch.equal(labelled_ring().classify(points), components)
