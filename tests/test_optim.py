"""One network's optimizer, schedule and clipping."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR

from ganduel.optim import Optim, frozen


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.5)


def with_gradient(*values: float) -> nn.Linear:
    net = nn.Linear(len(values), 1, bias=False)
    net.weight.grad = torch.tensor([values])
    return net


@pytest.mark.parametrize(("clip", "gradient"), [(None, [3.0, 4.0]), (10.0, [3.0, 4.0]), (1.0, [0.6, 0.8])])
def test_the_norm_is_that_before_clipping(clip, gradient):
    net, optim = with_gradient(3.0, 4.0), Optim(sgd, clip=clip)
    optim.configure(net)
    optim.clip_gradients()
    assert optim.norm.item() == pytest.approx(5.0)
    assert net.weight.grad.flatten().tolist() == pytest.approx(gradient)


def test_parameters_without_a_gradient_are_left_out():
    net = nn.Linear(2, 1)
    net.weight.grad = torch.tensor([[3.0, 4.0]])
    optim = Optim(sgd, clip=1.0)
    optim.configure(net)
    optim.clip_gradients()
    assert optim.norm.item() == pytest.approx(5.0)


def test_what_is_configured_is_what_lightning_saves():
    constant, decaying = Optim(sgd), Optim(sgd, lambda optimizer: ExponentialLR(optimizer, 0.9))
    assert constant.configure(nn.Linear(1, 1)) == {"optimizer": constant.optimizer}
    assert decaying.configure(nn.Linear(1, 1)) == {"optimizer": decaying.optimizer, "lr_scheduler": decaying.schedule}
    for optim in (constant, decaying):
        optim.optimizer.step()
        optim.step_schedule()
    assert [o.optimizer.param_groups[0]["lr"] for o in (constant, decaying)] == pytest.approx([0.5, 0.45])


def test_frozen_leaves_what_was_frozen_before():
    net = nn.Linear(2, 2)
    net.bias.requires_grad_(False)
    with frozen(net):
        assert [p.requires_grad for p in net.parameters()] == [False, False]
    assert [p.requires_grad for p in net.parameters()] == [True, False]
