"""What a member takes, counted for networks that can be counted by hand."""

import pytest
import torch
from torch import nn

from ganduel.errors import UserError
from ganduel.factory.gan import build_gan
from ganduel.population import memory


def test_what_layers_give_is_counted_in_each_pass_and_views_are_not():
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(10, 20), nn.Tanh()), torch.randn(8, 2, 5)
    assert memory.output_bytes(net, lambda: net(x).sum()) == 4 * (2 * 8 * 20)
    assert memory.output_bytes(net, lambda: net(x).sum() + net(x).sum()) == 2 * 4 * (2 * 8 * 20)
    slope = memory.output_bytes(net, lambda: torch.func.grad(lambda y: net(y).square().sum())(x).sum())
    assert slope == 4 * (2 * 8 * 20)
    assert not net[1]._forward_hooks


def test_the_weights_moments_and_average_of_a_member(tiny, images, monkeypatch):
    """Adam: a weight, its gradient and two moments; G's average besides. Activations aside."""
    monkeypatch.setattr(memory, "activations", lambda gan: 0)
    gan = build_gan(tiny(), images)
    before = [p.clone() for p in gan.parameters()]
    g, d = (sum(p.numel() for p in net.parameters()) for net in (gan.generator, gan.discriminator))
    tensors = sum(1 for net in (gan.generator, gan.discriminator) for _ in net.parameters())
    batches = gan.batches
    steps, order, noise = 4 * tensors, 8 * 12, 4 * 32 * (batches.k + 1) * batches.batch_size * gan.generator.noise_dim
    expected = 4 * (5 * g + 4 * d) + steps + order + noise + memory.PYTHON_OVERHEAD
    assert memory.memory_per_member(gan) == round(memory.ALLOCATOR_OVERHEAD * expected)
    assert all(torch.equal(*pair) for pair in zip(before, gan.parameters(), strict=True))


def test_the_larger_update_counts(tiny, images):
    penalised, plain = build_gan(tiny("penalty=r1"), images), build_gan(tiny("penalty=[]"), images)
    assert memory.activations(penalised) > memory.activations(plain) > 0


def test_more_than_fit_are_refused_with_the_number_that_fits(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 1000_000_000)
    memory.check(9, 100_000_000, torch.device("cpu"))
    with pytest.raises(UserError, match=r"10 members of 100.0 MB each .* 1.0 GB .*: 9 do"):
        memory.check(10, 100_000_000, torch.device("cpu"))
    memory.check(5, 100_000_000, torch.device("cpu"), ranks=2)  # they share it, and the second takes 320 MB for itself
    with pytest.raises(UserError, match="5 do"):
        memory.check(6, 100_000_000, torch.device("cpu"), ranks=2)
    with pytest.raises(UserError, match="0 do"):
        memory.check(4, 100_000_000, torch.device("cpu"), ranks=4)
    memory.check(18, 100_000_000, torch.device("cuda"), ranks=2)  # each has a GPU of its own
    with pytest.raises(UserError, match="18 do"):
        memory.check(19, 100_000_000, torch.device("cuda"), ranks=2)


def test_a_containers_limit_counts(monkeypatch, tmp_path):
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(memory, "LIMIT", limit)
    monkeypatch.setattr(memory, "USED", used)
    free = memory.free(torch.device("cpu"))
    assert free > 10_000_000
    limit.write_text("max\n")
    assert memory.free(torch.device("cpu")) > 10_000_000
    limit.write_text("9000000\n")
    used.write_text("4000000\n")
    assert memory.free(torch.device("cpu")) == 5_000_000
