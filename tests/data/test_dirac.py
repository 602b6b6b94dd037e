"""The point: all samples are 0, of whatever seed, position and split."""

import pytest
import torch

from ganduel.data.dirac import Dirac
from ganduel.errors import UserError


def test_every_sample_is_zero():
    data = Dirac()
    x, labels = data.minibatch(3, 5, 4, slice(1, 3))
    assert torch.equal(x, torch.zeros(2, 1))
    assert labels is None
    assert (data.shape, data.size, data.classes) == ((1,), None, None)
    assert torch.equal(data.reference("test", 3, draw=2), torch.zeros(3, 1))


def test_samples_are_on_the_training_device():
    data = Dirac()
    data.to(torch.device("meta"))
    assert data.minibatch(0, 0, 2)[0].device.type == "meta"


def test_unknown_split():
    with pytest.raises(UserError, match=r"Dirac has no split validation\. It has: train, test"):
        Dirac().reference("validation", 2)
