"""The rate and the momentum of the published code: their values along the run, resumed ones too."""

import pytest
import torch

from ganduel.errors import UserError
from ganduel.schedule import DecayAndMomentum


def sgd(lr=0.1, momentum=0.5):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=momentum)


def values(optimizer):
    return optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]


def follow(optimizer, schedule, iterations):
    """Rate and momentum of each of the iterations."""
    found = []
    for _ in range(iterations):
        found.append(values(optimizer))
        optimizer.step()
        schedule.step()
    return found


def test_rate_and_momentum_of_each_iteration():
    """The rate is divided each time; the momentum waits, grows by equal steps and stays."""
    optimizer = sgd()
    found = follow(optimizer, DecayAndMomentum(optimizer, decay=2.0, floor=0.01, start=1, saturate=5), 7)
    assert [lr for lr, _ in found] == pytest.approx([0.1, 0.05, 0.025, 0.0125, 0.01, 0.01, 0.01])
    assert [m for _, m in found] == pytest.approx([0.5, 0.5, 0.55, 0.6, 0.65, 0.7, 0.7])


@pytest.mark.parametrize(
    ("iteration", "lr", "momentum"),
    [
        (0, 0.1, 0.5),
        (500, 0.1 / 1.000004**500, 0.5),
        (500 * 100, 0.1 / 1.000004**50_000, 0.5 + 0.2 * 99 / 249),  # after 100 epochs: (100 − 1)/(250 − 1)
        (500 * 250, 0.060653, 0.7),
        (3_000_000, 1e-6, 0.7),
    ],
)
def test_published_values(iteration, lr, momentum):
    """Where the published schedule moves, after a whole number of epochs of 500 iterations."""
    optimizer = sgd()
    schedule = DecayAndMomentum(optimizer)
    schedule.last_epoch = iteration
    assert schedule.get_lr() == pytest.approx([lr], rel=1e-5)
    assert values(optimizer)[1] == pytest.approx(momentum, rel=1e-6)


def test_every_group_of_parameters_keeps_its_own_beginning():
    one, two = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [one]}, {"params": [two], "lr": 0.2, "momentum": 0.1}], 0.1, momentum=0.5)
    schedule = DecayAndMomentum(optimizer, decay=2.0, momentum=0.9, start=0, saturate=2)
    follow(optimizer, schedule, 1)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.1])
    assert [group["momentum"] for group in optimizer.param_groups] == pytest.approx([0.7, 0.5])


def test_a_resumed_schedule_goes_on():
    """Through the state of optimizer and schedule, as a checkpoint holds them."""
    knobs = {"decay": 1.1, "start": 1, "saturate": 9}
    whole = sgd()
    expected = follow(whole, DecayAndMomentum(whole, **knobs), 12)
    first = sgd()
    schedule = DecayAndMomentum(first, **knobs)
    begun = follow(first, schedule, 5)
    second = sgd()
    resumed = DecayAndMomentum(second, **knobs)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    assert begun + follow(second, resumed, 7) == expected


def test_the_momentum_moves_the_weights():
    """A gradient of 1 and then none: the second step is the grown momentum's share of the first."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0, momentum=0.5)
    schedule = DecayAndMomentum(optimizer, decay=1.0, momentum=0.9, start=0, saturate=1)
    for slope in (1.0, 0.0):
        weight.grad = torch.full((1,), slope)
        optimizer.step()
        schedule.step()
    assert weight.item() == pytest.approx(-1 - 0.9)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"decay": 0.0}, "divided by decay=0.0"),
        ({"start": 5, "saturate": 5}, "from iteration start=5 to saturate=5"),
        ({"start": -1}, "from iteration start=-1"),
    ],
)
def test_refuses_what_is_no_schedule(knobs, message):
    with pytest.raises(UserError, match=message):
        DecayAndMomentum(sgd(), **knobs)


def test_refuses_an_optimizer_without_momentum():
    adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    with pytest.raises(UserError, match=r"Adam has none. Use optimizer=sgd"):
        DecayAndMomentum(adam)
