"""Networks are told of how many classes there are, if they can take labels."""

import pytest
from torch import nn

from ganduel.errors import UserError
from ganduel.factory.networks import build_network


class WithClasses(nn.Linear):
    """A network that can take labels, of which the program tells it how many classes there are."""

    def __init__(self, shape, classes=None):
        super().__init__(shape[0], 1)
        self.classes = classes


class WithoutClasses(nn.Linear):
    def __init__(self, shape):
        super().__init__(shape[0], 1)


@pytest.mark.parametrize("classes", [None, 7])
def test_a_network_that_can_take_labels_is_told_of_how_many_classes(monkeypatch, classes):
    monkeypatch.setattr(nn, "WithClasses", WithClasses, raising=False)
    monkeypatch.setattr(nn, "WithoutClasses", WithoutClasses, raising=False)
    net = build_network({"_target_": "torch.nn.WithClasses"}, "model.generator", (3,), classes)
    assert (net.classes, net.in_features) == (classes, 3)
    other = build_network({"_target_": "torch.nn.WithoutClasses"}, "model.generator", (3,), classes)
    assert not hasattr(other, "classes")


def test_a_network_that_cannot_do_without_labels_is_refused(monkeypatch):
    class NeedsClasses(WithClasses):
        def __init__(self, shape, classes):
            super().__init__(shape, classes)

    monkeypatch.setattr(nn, "NeedsClasses", NeedsClasses, raising=False)
    node = {"_target_": "torch.nn.NeedsClasses"}
    assert build_network(node, "model.generator", (3,), 7).classes == 7
    with pytest.raises(UserError, match=r"^model\.generator: NeedsClasses takes labels, and the data have none\.$"):
        build_network(node, "model.generator", (3,))
