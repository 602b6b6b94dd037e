"""Replicas: how many a config asks for, and that the mean gradient is what each of them gets."""

import multiprocessing
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from torch import nn

from ganduel import ranks
from ganduel.distributed import ReplicatedStrategy, check_launcher, world_size
from ganduel.errors import UserError
from ganduel.ranks import average_gradients


@pytest.mark.parametrize(
    ("devices", "nodes", "ranks"),
    [
        (1, 1, 1),
        (3, 1, 3),
        (3, 2, 6),
        ("2", 1, 2),
        ("2", 4, 8),
        ([0, 1, 3], 1, 3),
        ([5], 1, 1),
        ("0,1", 1, 2),
        ("0,1,", 2, 4),
        ("3,", 1, 1),
        ("auto", 1, 1),
        (-1, 3, 3),
        ("-1", 1, 1),
    ],
)
def test_world_size_on_a_machine_without_gpus(monkeypatch, devices, nodes, ranks):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    for accelerator in ("cpu", "auto"):
        assert world_size({"accelerator": accelerator, "devices": devices, "num_nodes": nodes}) == ranks


@pytest.mark.parametrize(
    ("accelerator", "devices", "ranks"),
    [("gpu", "auto", 4), ("auto", -1, 4), ("cuda", "-1", 4), ("cpu", "auto", 1), ("gpu", 2, 2), ("gpu", [3], 1)],
)
def test_world_size_on_a_machine_with_four_gpus(monkeypatch, accelerator, devices, ranks):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 4)
    assert world_size({"accelerator": accelerator, "devices": devices, "num_nodes": 1}) == ranks


@pytest.mark.parametrize(("launched", "devices", "refused"), [("2", 1, True), ("2", 2, False), ("1", 2, False)])
def test_processes_that_would_each_train_the_whole_run_are_refused(monkeypatch, launched, devices, refused):
    """`torchrun --nproc-per-node=2 train.py` with trainer.devices=1 trained everything twice, into one folder."""
    monkeypatch.setenv("WORLD_SIZE", launched)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", launched)
    advice = "Type trainer.devices=2 trainer.num_nodes=1"
    with pytest.raises(UserError, match=advice) if refused else nullcontext():
        check_launcher({"accelerator": "cpu", "devices": devices, "num_nodes": 1})


def with_gradients(*values):
    """Parameters of different shapes, filled with these gradients; None for one that has none."""
    shapes = [(2, 3), (4,), (), (1, 2, 2)]
    parameters = [nn.Parameter(torch.zeros(shape)) for shape, _ in zip(shapes, values, strict=False)]
    for p, value in zip(parameters, values, strict=True):
        p.grad = None if value is None else torch.full(p.shape, float(value))
    return parameters


def test_nothing_happens_on_one_rank():
    parameters = with_gradients(1, 2)
    average_gradients(parameters)
    assert [p.grad.unique().item() for p in parameters] == [1, 2]


@pytest.fixture
def peers(monkeypatch):
    """Two more ranks, whose gradients are 10 and 100 times ours; a list of the sizes that were all-reduced."""
    sizes = []

    def all_reduce(tensor):
        sizes.append(tensor.numel())
        tensor.mul_(111)

    fake = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, get_world_size=lambda: 3, all_reduce=all_reduce
    )
    monkeypatch.setattr(ranks, "dist", fake)
    return sizes


def test_gradients_become_the_mean_in_one_reduction(peers):
    """In place, each in its own shape; a parameter without a gradient keeps none."""
    parameters = with_gradients(1, None, 2, 3)
    gradients = [p.grad for p in parameters]
    average_gradients(parameters)
    assert [p.grad is g for p, g in zip(parameters, gradients, strict=True)] == [True] * 4
    assert [None if g is None else g.unique().item() for g in gradients] == [37, None, 74, 111]
    assert peers == [6 + 1 + 4]


def test_order_of_values_is_kept(peers):
    p = nn.Parameter(torch.zeros(2, 3))
    p.grad = torch.arange(6.0).reshape(3, 2).T  # not contiguous
    average_gradients([p, *with_gradients(1)])
    torch.testing.assert_close(p.grad, 37 * torch.arange(6.0).reshape(3, 2).T)


def one_rank(rank, meeting, said):
    """What each of two processes does; what it ends with goes into the queue."""
    dist.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=2)
    torch.manual_seed(rank)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
    net[1].running_mean.fill_(rank + 5.0)
    ReplicatedStrategy.configure_ddp(SimpleNamespace(model=net))  # all that it looks at
    net.eval()
    x = torch.linspace(-2, 3, 24).reshape(8, 3)  # the minibatch of both, of which each has four rows
    whole = torch.autograd.grad(net(x).square().mean(), list(net.parameters()))
    net(x[4 * rank : 4 * rank + 4]).square().mean().backward()
    own = net[0].weight.grad.clone()
    average_gradients(net.parameters())
    averaged = [p.grad.tolist() for p in net.parameters()]
    said.put((rank, net[1].running_mean.tolist(), own.tolist(), averaged, [g.tolist() for g in whole]))
    dist.destroy_process_group()


def test_two_processes_have_one_networks_gradient(tmp_path):
    """Broadcast from rank 0, then half a minibatch on each: the mean is the gradient of the whole minibatch."""
    context = multiprocessing.get_context("fork")  # a fresh process would take seconds to import torch
    said = context.Queue()
    ranks = [context.Process(target=one_rank, args=(rank, tmp_path / "meeting", said)) for rank in range(2)]
    for process in ranks:
        process.start()
    try:
        (_, *first), (_, *second) = sorted(said.get(timeout=30) for _ in ranks)
    finally:
        for process in ranks:
            process.join(timeout=10)
            process.kill()
    (statistics, own, averaged, whole), (other_statistics, other_own, other_averaged, _) = first, second
    assert statistics == other_statistics == [5.0] * 4
    assert own != other_own
    assert averaged == other_averaged
    for mine, expected in zip(averaged, whole, strict=True):
        torch.testing.assert_close(torch.tensor(mine), torch.tensor(expected))
