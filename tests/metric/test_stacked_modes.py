"""Modes of stacked MNIST, as the classifier counts them."""

import math

import pytest
import torch

from ganduel.data.mnist import MNIST
from ganduel.data.ring8 import Ring8
from ganduel.data.stacked_mnist import StackedMNIST
from ganduel.errors import UserError
from ganduel.metric.features import extractor
from ganduel.metric.stacked_modes import StackedModes


def measured(stacks):
    metric = StackedModes()
    metric.fit_to(StackedMNIST())
    with torch.no_grad():
        found = extractor("mnist_cnn_rgb", torch.device("cpu"))(stacks)
    metric.update(found, real=True)
    metric.update(found, real=False)
    return {key: value.item() for key, value in metric.compute().items()}


def test_ten_grey_digits_are_ten_modes():
    """The classes 0, 111, …, 999: KL to the uniform over 1,000 is log 100."""
    data = MNIST()
    images, labels = data.images("test"), data.labels("test")
    stacks = torch.cat([images[labels == digit][:1].expand(1, 3, 28, 28) for digit in range(10)])
    found = measured(stacks)
    assert found == pytest.approx({"modes/mnist_cnn_rgb_26k": 10, "reverse_kl/mnist_cnn_rgb_26k": math.log(100)})


def test_real_stacks_have_many_modes():
    """2,000 draws of 1,000 classes leave out a share of about exp(−2) = 13.5%."""
    found = measured(StackedMNIST().reference("test", 2000))
    assert found["modes/mnist_cnn_rgb_26k"] == pytest.approx(1000 * (1 - math.exp(-2)), abs=40)


def test_other_data_are_refused():
    with pytest.raises(UserError, match=r"metric\.stacked_modes does not fit Ring8: its classes are those of stacked"):
        StackedModes().fit_to(Ring8())
