"""What a capture has frozen on the host is noticed when it changes, and nothing else is."""

import timeit
from collections.abc import Callable

import pytest
import torch
from torch import nn

from ganduel.engine.base import optimizers_of
from ganduel.engine.host_state import HostState, contents, generators_in
from ganduel.gan import GAN


class Holder:
    """An object of a user package, with all kinds of attributes."""

    def __init__(self):
        self.weight, self.names, self.options = 1.0, ["a"], {"depth": 2}
        self.inner, self.generator = None, torch.Generator()


@pytest.fixture
def trained(train: Callable[..., GAN]) -> GAN:
    """A GAN after some iterations, with a loss that holds an object."""

    def alter(gan: GAN) -> None:
        vars(gan.loss)["holder"] = Holder()

    return train("penalty=[r1]", "schedule=linear", n=3, alter=alter)


def state(gan: GAN) -> HostState:
    return HostState(gan, optimizers_of(gan))


def test_nothing_changes_by_itself(trained: GAN):
    before = state(trained)
    assert before.changed() is None
    trained.iterate(3)
    assert before.changed() is None
    trained.optim_d.optimizer.param_groups[0]["betas"] = (0.5, 0.999)  # another tuple
    assert before.changed() is None


CHANGES: dict[str, Callable[[GAN], object]] = {
    "generator.training": lambda gan: gan.generator.eval(),
    "discriminator.net.1.bias.requires_grad": lambda gan: gan.discriminator.net[1].bias.requires_grad_(False),
    "discriminator.net.1": lambda gan: gan.discriminator.net.__setitem__(1, nn.Linear(6, 8)),
    "discriminator.net.1.weight": lambda gan: setattr(
        gan.discriminator.net[1], "weight", nn.Parameter(torch.ones(8, 6))
    ),
    "the number of attributes of generator.net.0": lambda gan: gan.generator.net[0].register_forward_hook(print),
    "penalties_d.r1.gamma": lambda gan: setattr(gan.penalties_d["r1"], "gamma", 0.5),
    "loss.holder.weight": lambda gan: setattr(gan.loss.holder, "weight", 2.0),
    "loss.holder.names.0": lambda gan: gan.loss.holder.names.__setitem__(0, "b"),
    "loss.holder.options.depth": lambda gan: gan.loss.holder.options.update(depth=3),
    "loss.holder.inner": lambda gan: setattr(gan.loss.holder, "inner", Holder()),
    "the number of attributes of loss": lambda gan: vars(gan.loss).update(scale=2),
    "augment": lambda gan: setattr(gan, "augment", nn.Identity()),
    "mixes_samples": lambda gan: setattr(gan, "mixes_samples", True),
    "optim_d.clip": lambda gan: setattr(gan.optim_d, "clip", 0.1),
    "Adam.betas": lambda gan: gan.optim_g.optimizer.param_groups[0].update(betas=(0.9, 0.999)),
    "the memory of a tensor": lambda gan: gan.generator.net[0].bias.set_(torch.zeros(8)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named(trained: GAN, name: str):
    before = state(trained)
    with torch.no_grad():
        CHANGES[name](trained)
    assert before.changed() == name


def test_the_rate_of_a_schedule_may_change_and_another_may_not(train: Callable[..., GAN]):
    for words, name in ((("schedule=linear",), None), ((), "Adam.lr")):
        gan = train(*words, n=3)
        before = state(gan)
        gan.optim_d.optimizer.param_groups[0]["lr"] *= 0.5
        assert before.changed() == name


def test_all_tensors_that_an_update_may_change_are_known(trained: GAN):
    known = {id(tensor) for tensor in state(trained).tensors}
    networks = [*trained.generator.parameters(), *trained.discriminator.parameters()]
    moments = [value for o in trained.trainer.optimizers for s in o.state.values() for value in s.values()]
    assert {id(tensor) for tensor in [*networks, *moments]} <= known
    assert not {id(tensor) for tensor in trained.ema.parameters()} & known


def test_generators_are_found_in_what_holds_them(trained: GAN):
    assert generators_in({"batch": trained.batches(0)})[0] is trained.batches.draws.generator
    assert trained.loss.holder.generator in state(trained).generators


def test_loops_and_long_lists_are_no_trap():
    first = Holder()
    first.inner, first.names = first, list(range(10**6))
    assert len(list(contents({"first": first}))) == 2  # its attributes, and its options


def test_what_an_object_does_not_call_is_not_looked_into():
    first = Holder()
    first.inner, first.unwatched = Holder(), ("inner",)
    assert not [label for label, _ in contents({"first": first}) if label.startswith("first.inner")]


def test_a_check_costs_microseconds(train: Callable[..., GAN]):
    """30 to 40 µs for the default networks on a busy core."""
    before = state(train("model.generator.hidden=[8,8,8]", "model.discriminator.hidden=[8,8]", n=3))
    assert min(timeit.repeat(before.changed, number=10, repeat=200)) / 10 < 100e-6
