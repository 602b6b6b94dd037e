"""Stacked networks against the networks one by one."""

import pytest
import torch
from torch import nn

from ganduel.model.dropout import Dropout
from ganduel.model.mlp import MLPDiscriminator, MLPGenerator
from ganduel.population.network import StackedNetwork, can_be_batched

NETS = {
    "generator": lambda: MLPGenerator((2, 3, 1), noise_dim=5, hidden=[7], norm="layer"),
    "batch norm": lambda: MLPGenerator((4,), noise_dim=5, hidden=[7], norm="batch", activation="maxout"),
    "discriminator": lambda: MLPDiscriminator((5,), hidden=[7, 3]),
    "spectral norm": lambda: MLPDiscriminator((5,), hidden=[7, 3], norm="spectral"),
    "tied": lambda: Tied(),
    "no bias": lambda: nn.Sequential(nn.Linear(5, 4, bias=False), nn.Tanh(), nn.Linear(4, 1)),
}


class Tied(nn.Module):
    """A layer that is used twice, and one that is frozen."""

    def __init__(self):
        super().__init__()
        self.first = self.second = nn.Linear(5, 5)
        self.last = nn.Linear(5, 1).requires_grad_(False)

    def forward(self, x):
        return self.last(self.second(self.first(x).tanh())).squeeze(1)


def double(make, n=3):
    nets = []
    for seed in range(n):
        torch.manual_seed(seed)
        nets.append(make().double())
    return nets


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_outputs_gradients_and_buffers_are_those_of_each_network(name, batched):
    if batched and name == "spectral norm":
        pytest.skip("it writes into its own tensors")
    alone, stacked = double(NETS[name]), double(NETS[name])
    whole = StackedNetwork(stacked, batched)
    x = torch.randn(3, 6, 5, dtype=torch.float64)
    y = whole(x)
    y.square().sum().backward()
    for i, net in enumerate(alone):
        mine = net(x[i])
        mine.square().sum().backward()
        torch.testing.assert_close(y[i], mine)
        for p, q in zip(whole.parameters(), net.parameters(), strict=True):
            assert (p.grad is None) == (q.grad is None)
            if q.grad is not None:
                torch.testing.assert_close(p.grad[i], q.grad)
        for p, q in zip(stacked[i].buffers(), net.buffers(), strict=True):
            torch.testing.assert_close(p, q)


def test_the_networks_are_views_of_the_stack():
    nets = double(NETS["batch norm"])
    whole = StackedNetwork(nets)
    with torch.no_grad():
        for tensor in (*whole.parameters(), *whole.buffers()):
            tensor.copy_(torch.randint(9, tensor.shape))
    for i, net in enumerate(nets):
        for mine, its in zip((*net.parameters(), *net.buffers()), (*whole.parameters(), *whole.buffers()), strict=True):
            assert torch.equal(mine, its[i])
            assert mine.data_ptr() == its[i].data_ptr()


@pytest.mark.parametrize("batched", [True, False])
def test_a_part_of_the_members_can_be_meant(batched):
    nets = double(NETS["discriminator"], 4)
    x = torch.randn(2, 6, 5, dtype=torch.float64)
    some = StackedNetwork(nets, batched).vmap_over_members(lambda i, net, z: net(2 * z) + 1, x, of=slice(1, 3))
    torch.testing.assert_close(some, torch.stack([net(2 * z) + 1 for net, z in zip(nets[1:3], x, strict=True)]))


@pytest.mark.parametrize(
    ("net", "can"),
    [
        (NETS["batch norm"](), True),
        (NETS["discriminator"](), True),
        (NETS["spectral norm"](), False),
        (nn.Sequential(nn.Linear(5, 5), nn.Dropout(0.5)), False),
        (nn.Sequential(nn.Linear(5, 5), Dropout(0.5)), False),
    ],
    ids=["batch norm", "plain", "spectral norm", "torch's dropout", "ours"],
)
def test_whether_one_kernel_can_serve_all_is_tried_out(net: nn.Module, can: bool):
    before = [tensor.clone() for tensor in (*net.parameters(), *net.buffers())]
    assert can_be_batched(net, lambda i, f, x: f(x), torch.randn(6, 5)) is can
    assert all(torch.equal(*pair) for pair in zip(before, (*net.parameters(), *net.buffers()), strict=True))
    assert all(p.grad is None for p in net.parameters())
