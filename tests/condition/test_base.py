"""No condition wraps nothing."""

from torch import nn

from ganduel.condition.base import Condition, ConditionedDiscriminator
from ganduel.loss.hinge import Hinge
from ganduel.model.mlp import MLPGenerator


def test_networks_and_loss_stay_what_they_are():
    g, d, loss = MLPGenerator((2,), hidden=[3]), nn.Linear(2, 1), Hinge()
    condition = Condition()
    assert condition.generator(lambda: g, 3) is g
    assert condition.discriminator(lambda shape: d if shape == (2,) else None, [2], 3) is d
    assert condition.loss(loss) is loss
    assert not condition.takes_labels


def test_a_wrapped_d_says_what_it_is_made_of():
    net = nn.Linear(2, 1)
    net.mixes_samples = True

    class Wrapped(ConditionedDiscriminator):
        def forward(self, x, y):
            return self.net(x)

    assert (Wrapped(net, 7).classes, Wrapped(net, 7).mixes_samples) == (7, True)
    assert Wrapped(nn.Linear(2, 1), 7).mixes_samples is None
