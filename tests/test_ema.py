"""The average of G: its formula by hand, its half-life and ramp, and what it does with buffers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganduel.ema import EMA, ema_update
from ganduel.errors import UserError
from ganduel.model.mlp import MLPGenerator


def constant(value):
    """A network whose weights are all of one value."""
    net = nn.Linear(2, 1)
    for p in net.parameters():
        nn.init.constant_(p, value)
    return net


def test_formula_by_hand():
    """β = 2^(−250/500) = 1/√2 twice, from weights 1 towards 3 and then 5."""
    ema, beta = EMA(constant(1.0), half_life_kimg=0.5, ramp=None), 2**-0.5
    ema.update(constant(3.0), 1, 250)
    once = beta * 1 + (1 - beta) * 3
    assert ema.net.weight[0, 1].item() == pytest.approx(once)
    ema.update(constant(5.0), 2, 250)
    assert ema.net.weight[0, 1].item() == pytest.approx(beta * once + (1 - beta) * 5)
    assert ema.net.bias.item() == pytest.approx(beta * once + (1 - beta) * 5)


@given(st.sampled_from([1, 2, 5, 10, 100]))
def test_half_the_old_weights_are_left_after_a_half_life(updates):
    """In images, so at any batch size."""
    ema, batch = EMA(constant(0.0), half_life_kimg=1.0, ramp=None), 1000 // updates
    for t in range(updates):
        ema.update(constant(1.0), t + 1, batch)
    assert ema.net.bias.item() == pytest.approx(0.5, abs=1e-5)


@given(n=st.integers(1, 10**5), batch=st.integers(1, 1000), every=st.integers(1, 9))
def test_ramp_bounds_the_half_life_by_a_share_of_the_images_so_far(n, batch, every):
    ema, images = (
        EMA(constant(0.0), half_life_kimg=10.0, ramp=0.05, every_n_iterations=every),
        batch * (every if n > every else 1),
    )
    assert ema.decay(n, batch) == pytest.approx(0.5 ** (images / min(10_000, 0.05 * n * batch)))


def test_rare_updates_have_the_half_life_of_frequent_ones():
    """Weights that stay: after 1,000 images half of the first are left. What is between two updates is not seen."""
    frequent, rare = (EMA(constant(0.0), half_life_kimg=1.0, ramp=None, every_n_iterations=every) for every in (1, 4))
    for n in range(1, 101):
        frequent.update(constant(1.0), n, 10)
        rare.update(constant(1.0 if n % 4 == 0 or n < 4 else float("nan")), n, 10)
    assert frequent.net.bias.item() == pytest.approx(0.5, abs=1e-5)
    assert rare.net.bias.item() == pytest.approx(0.5, abs=1e-5)


def test_between_two_updates_nothing_changes():
    """The first four iterations have one each."""
    ema = EMA(constant(0.0), half_life_kimg=1.0, ramp=None, every_n_iterations=4)
    seen = []
    for n in range(1, 10):
        ema.update(constant(1.0), n, 100)
        seen.append(ema.net.bias.item())
    assert seen == pytest.approx([1 - 2 ** (-n / 10) for n in (1, 2, 3, 4, 4, 4, 4, 8, 8)])


def test_ramp_forgets_the_first_weights():
    """At the first update β = 2^(−1/0.05) = 2^−20: next to nothing is left of the initial weights."""
    ema = EMA(constant(0.0), half_life_kimg=100.0, ramp=0.05)
    ema.update(constant(1.0), 1, 64)
    assert ema.net.bias.item() == pytest.approx(1 - 2**-20, abs=1e-7)


def test_ramp_ends_where_the_half_life_is_reached():
    ema = EMA(constant(0.0), half_life_kimg=1.0, ramp=0.1)
    assert ema.decay(90, 100) < ema.decay(100, 100) == ema.decay(10**4, 100) == pytest.approx(0.5**0.1)


def test_starts_as_an_equal_but_separate_copy():
    net = constant(2.0)
    ema = EMA(net, half_life_kimg=1.0)
    nn.init.zeros_(net.weight)
    assert ema.net.weight.tolist() == [[2.0, 2.0]]


def test_is_never_trained():
    """Always in evaluation mode, without gradients, and without parameters that an optimizer would want."""
    ema = EMA(nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1)), half_life_kimg=1.0)
    nn.ModuleList([ema]).train()
    assert not any(module.training for module in ema.modules())
    assert not any(p.requires_grad for p in ema.parameters())


def test_leaves_the_network_as_it_is():
    net = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1)).train()
    before = [t.clone() for t in net.state_dict().values()]
    EMA(net, half_life_kimg=1.0).update(net, 1, 8)
    assert net.training
    assert all(module.training for module in net.modules())
    assert all(p.requires_grad for p in net.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, net.state_dict().values(), strict=True))


def test_buffers_are_copied_not_averaged():
    net = nn.BatchNorm1d(2)
    ema = EMA(net, half_life_kimg=1000.0, ramp=None)
    net(torch.randn(50, 2) + 9)
    ema.update(net, 1, 50)
    assert torch.equal(ema.net.running_mean, net.running_mean)
    assert ema.net.num_batches_tracked.item() == 1


def test_state_survives_a_round_trip():
    """What a checkpoint holds of it is all there is."""
    ema, fresh = (EMA(constant(value), half_life_kimg=1.0) for value in (1.0, 7.0))
    ema.update(constant(3.0), 200, 500)
    fresh.load_state_dict(ema.state_dict())
    assert torch.equal(fresh.net.weight, ema.net.weight)


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "spectral"])
def test_follows_every_kind_of_generator(norm):
    """With β ≈ 0 the average is the network, in evaluation mode."""
    net = MLPGenerator((3,), noise_dim=2, hidden=[4], norm=norm)
    ema, z = EMA(net, half_life_kimg=1e-6, ramp=None), torch.randn(5, 2)
    for _ in range(3):
        net(z).sum().backward()
        with torch.no_grad():
            for p in net.parameters():
                p.sub_(0.1 * p.grad)
    ema.update(net, 1, 64)
    torch.testing.assert_close(ema.net(z), net.eval()(z))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_refuses_what_is_no_length(value):
    with pytest.raises(UserError, match=r"ema.half_life_kimg"):
        EMA(constant(0.0), half_life_kimg=value)
    with pytest.raises(UserError, match=r"ema.ramp"):
        EMA(constant(0.0), half_life_kimg=1.0, ramp=value)


@pytest.mark.parametrize("value", [0, -1])
def test_refuses_what_is_no_number_of_iterations(value):
    with pytest.raises(UserError, match=r"ema.every_n_iterations=.* must be at least 1"):
        EMA(constant(0.0), half_life_kimg=1.0, every_n_iterations=value)


def test_the_update_by_hand():
    """Averaged weights move, buffers are copied, and online ones stay; in any shape, of any number."""
    ema, online = ([torch.full((2, 3), x), torch.full((1,), 2 * x)] for x in (1.0, 5.0))
    buffers, new_buffers = [torch.zeros(2), torch.tensor(3)], [torch.ones(2), torch.tensor(4)]
    ema_update(ema, buffers, online, new_buffers, 0.75)
    assert [x.flatten().tolist() for x in ema] == [[2.0] * 6, [4.0]]
    assert [x.flatten().tolist() for x in online] == [[5.0] * 6, [10.0]]
    assert torch.equal(buffers[0], torch.ones(2))
    assert buffers[1].item() == 4


def test_a_tensor_that_is_replaced_is_followed():
    """The network may get another parameter or buffer in training; shared ones move once."""
    net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.BatchNorm1d(3), nn.BatchNorm1d(3, track_running_stats=False))
    net.append(net[0])
    ema = EMA(net, half_life_kimg=1.0, ramp=None)
    net[1].running_mean = torch.ones(3)
    net[0].weight = net[3].weight = nn.Parameter(torch.full((3, 2), 4.0))
    before = ema.net[0].weight.clone()
    ema.update(net, 1, 1000)
    assert torch.equal(ema.net[1].running_mean, torch.ones(3))
    torch.testing.assert_close(ema.net[0].weight, before / 2 + 2.0)
    assert ema.net[3] is ema.net[0]
