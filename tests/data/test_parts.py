"""Images in two parts: what is trained on, what is compared with, and their classes."""

import pytest
import torch

from ganduel.data.labelled import LabelledSamples
from ganduel.data.parts import Parts, divided
from ganduel.errors import UserError


def images(n, start=0):
    return torch.arange(start, start + n, dtype=torch.uint8)[:, None, None, None].expand(n, 1, 2, 2).contiguous()


def test_each_split_has_its_images_and_classes():
    train = LabelledSamples(images(5), torch.arange(5) % 2)
    data = Parts(train, LabelledSamples(images(3, 50), torch.tensor([1, 1, 0])), ["a", "b"])
    assert (data.size, data.classes, data.count("test")) == (5, None, 3)
    assert data.reference_labels("test", 3) is None
    data.use_labels()
    assert data.classes == 2
    order = data.reference("test", 3)[:, 0, 0, 0].long() - 50
    assert torch.equal(data.reference_labels("test", 3), torch.tensor([1, 1, 0])[order])
    assert torch.equal(data.labels_of("train"), torch.arange(5) % 2)


def test_names_of_classes_are_on_record_where_they_are_used():
    """By them a class is asked for when samples are made."""
    data = Parts(*divided(LabelledSamples(images(20), torch.arange(20) % 2)), ["cat", "dog"])
    assert "classes" not in data.fingerprint
    data = Parts(*divided(LabelledSamples(images(20), torch.arange(20) % 2)), ["cat", "dog"])
    data.use_labels()
    assert data.fingerprint["classes"] == ["cat", "dog"]


def test_a_tenth_is_held_out():
    """Each image is on one side, with its class; which ones is the same each time."""
    whole = LabelledSamples(images(40), torch.arange(40) * 2)
    train, test = divided(whole)
    assert (len(train.samples), len(test.samples)) == (36, 4)
    values = torch.cat([train.samples, test.samples])[:, 0, 0, 0].long()
    assert torch.equal(values.sort().values, torch.arange(40))
    assert torch.equal(torch.cat([train.labels, test.labels]), values * 2)
    assert torch.equal(divided(whole)[1].samples, test.samples)


def test_without_classes_there_is_no_condition():
    data = Parts(*divided(LabelledSamples(images(10), None)))
    with pytest.raises(UserError, match="has no labels, which a condition needs"):
        data.use_labels()
