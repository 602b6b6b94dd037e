"""Weights stay within [−c, c] after each step, of one network and of a population's."""

import pytest
import torch
from torch import nn

from ganduel.errors import UserError
from ganduel.optim import Optim
from ganduel.penalty.clip_weights import ClipWeights
from ganduel.penalty.r1 import R1


def test_weights_are_brought_back_after_the_step():
    net = nn.Linear(2, 1)
    nn.init.constant_(net.weight, 0.009)
    optim = Optim(lambda parameters: torch.optim.SGD(parameters, lr=1.0))
    optim.configure(net, [R1(), ClipWeights()])
    net.weight.grad, net.bias.grad = torch.tensor([[5.0, 0.001]]), torch.tensor([-5.0])
    optim.optimizer.step()
    assert net.weight.tolist() == [[pytest.approx(-0.01), pytest.approx(0.008)]]
    assert net.bias.tolist() == [pytest.approx(0.01)]


def test_there_is_no_term():
    from minibatches import minibatch

    x = torch.randn(2, 2)
    assert ClipWeights()(nn.Linear(2, 1), minibatch(x, noise=x), x) == 0


@pytest.mark.parametrize("c", [0.0, -1.0, float("nan")])
def test_a_bound_that_is_none_is_refused(c):
    with pytest.raises(UserError, match=r"ClipWeights: c=.* must be above 0"):
        ClipWeights(c)
