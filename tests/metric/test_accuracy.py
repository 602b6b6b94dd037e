"""How many samples are of the class that was asked for."""

import pytest
import torch

from ganduel.data.base import TensorData
from ganduel.data.mnist import MNIST
from ganduel.data.sprites import Sprites
from ganduel.data.stacked_mnist import StackedMNIST
from ganduel.errors import UserError
from ganduel.metric.accuracy import Accuracy, classifier
from ganduel.metric.evaluation import Evaluation
from ganduel.metric.features import extractor


def test_digits_by_the_classifier_that_ships():
    """The first 500 test images are told as they were when it was trained; asked for as 1 more, hardly any is."""
    data = MNIST()
    data.use_labels()
    evaluation = Evaluation(data, [Accuracy(samples=500)])
    images, labels = data.images("test")[:500], data.labels("test")[:500]
    name, classify = classifier(data)
    features = extractor(name, torch.device("cpu"))(images)
    assert (classify(features) == labels).double().mean() > 0.98
    assert (classify(features) == (labels + 1) % 10).double().mean() < 0.02
    assert evaluation.prepare().floors["accuracy/mnist_cnn_500"] > 0.98


@pytest.mark.parametrize(("labels", "classes"), [("shape", 5), ("mode", 30)])
def test_sprites_by_what_they_are_drawn_from(labels, classes):
    """Exactly, from their pixels; classes moved by one are all wrong."""
    data = Sprites(labels=labels)
    metric = Accuracy()
    metric.fit_to(data)
    pixels = data.reference("test", 60).flatten(1) / 255
    asked = data.reference_labels("test", 60)
    assert int(asked.max()) < classes
    metric.update(pixels[:40], False, asked[:40])
    metric.update(pixels[40:], False, (asked[40:] + 1) % classes)
    assert metric.compute()["accuracy/pixels_10k"].item() == pytest.approx(40 / 60)


def test_data_of_which_nothing_tells_the_class():
    data = TensorData(torch.randn(40, 2), torch.arange(40) % 2)
    with pytest.raises(
        UserError, match=r"metric\.accuracy does not fit TensorData: nothing is known that tells its cl"
    ):
        Accuracy().fit_to(data)
    stacks = StackedMNIST()
    stacks.classes = 10  # other classes than the classifier's thousand
    assert classifier(stacks) is None
