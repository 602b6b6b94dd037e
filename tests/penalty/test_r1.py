"""R1 against derivatives by hand, against autograd, under vmap, with labels, and in the networks that it meets."""

from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganduel.batch import Minibatch
from ganduel.errors import UserError
from ganduel.model.mlp import MLPDiscriminator
from ganduel.penalty.r1 import R1
from ganduel.rng import Draws


def minibatch(real, labels=None):
    """A minibatch of which R1 looks at the real samples and their labels; the rest is not a number."""
    nan = torch.full((len(real), 2), float("nan"))
    fake_labels = None if labels is None else torch.full_like(labels, 10**6)
    return Minibatch(real, labels, nan, fake_labels, Draws("cpu", len(real)))


def r1(gamma, discriminator, real, labels=None):
    """The penalty of a D, given as the function of samples and labels that it is called with."""
    fake = torch.full_like(real, float("nan"))

    def logits(x, y=None):
        return discriminator(x) if y is None else discriminator(x, y)

    return R1(gamma)(logits, minibatch(real, labels), fake)


def reference(discriminator, real, gamma):
    """R1 as its paper's code has it, by autograd on the inputs."""
    x = real.clone().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gamma / 2 * slope.flatten(1).norm(dim=1).square().mean()


@given(gamma=st.floats(0, 100), shape=st.sampled_from([(4,), (1, 2, 2), (3, 1, 5)]), seed=st.integers(0, 99))
def test_linear_discriminator(gamma, shape, seed):
    """γ/2 · |w|², whatever the samples and the constant."""
    torch.manual_seed(seed)
    w, x = torch.randn(shape).double(), torch.randn(6, *shape).double()
    value = r1(gamma, lambda x: (x * w).flatten(1).sum(1) + 7, x)
    torch.testing.assert_close(value, gamma / 2 * w.square().sum(), rtol=1e-9, atol=1e-12)


def test_quadratic_discriminator():
    """D(x) = |x|² has slope 2x: γ/2 · 4 E|x|² = 3 · 4 · (5 + 25)/2 at (1, 2) and (3, 4) with γ = 6."""
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert r1(6.0, lambda x: x.square().sum(1), x).item() == pytest.approx(3 * 4 * 15)


def test_looks_at_real_samples_only():
    """Generated samples and noise are not numbers here."""
    assert r1(1.0, lambda x: x.square().sum(1), torch.ones(2, 3)).item() == pytest.approx(6)


def test_each_real_sample_is_seen_with_its_own_label():
    """D(x, y) = (y + 1) · sum(x) has the slope y + 1 in each of three coordinates."""
    labels = torch.tensor([0, 1, 3])
    value = r1(2.0, lambda x, y: (y + 1) * x.sum(1), torch.randn(3, 3), labels)
    assert value.item() == pytest.approx(3 * (1 + 4 + 16) / 3)


@pytest.mark.parametrize("norm", ["none", "layer", "spectral"])
@pytest.mark.parametrize("activation", ["leaky_relu", "tanh", "gelu"])
def test_gradient_for_the_weights_agrees_with_autograd(norm, activation):
    """A second derivative, of each weight. Copies, as spectral norm moves its vectors at each call."""
    network = MLPDiscriminator((2, 3), hidden=[5, 4], activation=activation, norm=norm).double()
    copy = deepcopy(network)
    x = torch.randn(7, 2, 3).double()
    value, expected = r1(10.0, network, x), reference(copy, x, 10.0)
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert sum(g.abs().sum().item() for g in gradients) > 0
    for p, q in zip(network.parameters(), copy.parameters(), strict=True):
        if p.grad is not None:
            torch.testing.assert_close(p.grad, torch.zeros_like(p) if q.grad is None else q.grad)


def test_spectral_norm_bounds_the_penalty():
    """LeakyReLU's slope is at most 1 and each layer's too, so ‖∇D‖ ≤ 1 once the vectors have settled."""
    d = MLPDiscriminator((6,), hidden=[5, 4], norm="spectral")
    x = torch.randn(9, 6)
    for _ in range(100):
        d(x)
    assert r1(2.0, d, x).item() <= 1 + 1e-5


def test_vmap_over_discriminators_equals_a_loop():
    networks = [MLPDiscriminator((3,), hidden=[4]) for _ in range(5)]
    parameters, buffers = torch.func.stack_module_state(networks)
    real = torch.randn(5, 8, 3)

    def penalty(parameters, buffers, x):
        return r1(3.0, lambda x: torch.func.functional_call(networks[0], (parameters, buffers), (x,)), x)

    together = torch.func.vmap(penalty)(parameters, buffers, real)
    alone = torch.stack([r1(3.0, d, x) for d, x in zip(networks, real, strict=True)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-7)
    slopes = torch.func.vmap(torch.func.grad(penalty))(parameters, buffers, real)
    alone[2].backward()
    for name, parameter in networks[2].named_parameters():
        expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(slopes[name][2], expected, rtol=1e-5, atol=1e-7)


def test_leaves_no_trace_on_samples_or_flags():
    d, x = MLPDiscriminator((2,), hidden=[3]), torch.randn(4, 2)
    r1(1.0, d, x)
    assert not x.requires_grad
    assert x.grad is None
    assert all(p.grad is None for p in d.parameters())


def test_zero_weight_is_allowed_and_negative_is_not():
    assert r1(0.0, lambda x: x.sum(1), torch.ones(2, 2)).item() == 0
    for gamma in (-1.0, float("nan")):
        with pytest.raises(UserError, match=f"R1: gamma={gamma} must not be negative"):
            R1(gamma)


def test_batch_norm_in_the_discriminator_is_refused_where_the_gan_is_built(tiny, images):
    """With it a slope belongs to no one sample; torch would stop at the statistics with an error of its own."""
    from ganduel.factory.gan import build_gan

    with pytest.raises(UserError, match=r"R1 needs D's slope at each sample.*norm=layer or norm=spectral"):
        build_gan(tiny("penalty=r1", "model.discriminator.norm=batch"), images)
    build_gan(tiny("penalty=[]", "model.discriminator.norm=batch"), images)
    build_gan(tiny("penalty=r1", "model.generator.norm=batch"), images)


@pytest.mark.parametrize("norm", ["none", "layer", "spectral"])
def test_trains_with_each_other_norm(fit, norm):
    trainer = fit("penalty=r1", f"model.discriminator.norm={norm}")
    assert trainer.global_step == 6
    assert all(p.isfinite().all() for p in trainer.lightning_module.discriminator.parameters())


def test_evaluation_mode_needs_no_running_update():
    """A BatchNorm in evaluation mode is a fixed affine map of each sample, where R1 is well defined."""
    d = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1), nn.Flatten(0)).double().eval()
    x = torch.randn(5, 3).double()
    torch.testing.assert_close(r1(4.0, d, x), reference(d, x, 4.0))
