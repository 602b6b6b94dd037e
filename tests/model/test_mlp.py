"""Fully connected networks: shapes, initial weights, norms, activations, ranges."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ganduel.errors import UserError
from ganduel.model import mlp
from ganduel.model.dropout import Dropout
from ganduel.model.mlp import ACTIVATIONS, OUTPUTS, Activation, Maxout, MLPDiscriminator, MLPGenerator, UnitRange

NORMS = ["none", "batch", "layer", "spectral"]


def linears(net):
    return [module for module in net.modules() if isinstance(module, nn.Linear)]


@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    hidden=st.lists(st.integers(1, 6), max_size=3),
    noise_dim=st.integers(1, 5),
    norm=st.sampled_from(NORMS),
    batch=st.integers(2, 5),
)
def test_shapes(shape, hidden, noise_dim, norm, batch):
    """Any shape of sample, any number of hidden layers, none included."""
    g = MLPGenerator(shape, noise_dim=noise_dim, hidden=hidden, norm=norm)
    d = MLPDiscriminator(shape, hidden=hidden, norm=norm)
    x = g(torch.randn(batch, noise_dim))
    assert x.shape == (batch, *shape)
    assert d(x).shape == (batch,)


def test_batch_of_one_gives_one_logit():
    assert MLPDiscriminator((1, 4, 4), hidden=[3])(torch.zeros(1, 1, 4, 4)).shape == (1,)


@pytest.mark.parametrize("norm", NORMS)
def test_layers_come_in_order(norm):
    """Linear, norm, activation of each hidden width, and a bare Linear at the end."""
    kinds = [type(module) for module in mlp.Layers("relu", norm).stack([4, 5, 6])]
    between = {"batch": [nn.BatchNorm1d], "layer": [nn.LayerNorm]}.get(norm, [])
    linear = nn.Linear if norm != "spectral" else type(mlp.Layers(norm="spectral").linear(1, 1))
    assert [kind.__name__ for kind in kinds] == [kind.__name__ for kind in [linear, *between, nn.ReLU] * 2]
    d = MLPDiscriminator((4,), hidden=[5, 6], norm=norm)
    assert [(layer.in_features, layer.out_features) for layer in linears(d)] == [(4, 5), (5, 6), (6, 1)]
    assert all(layer.bias is not None for layer in linears(d))


def test_initial_weights_are_torchs_uniform():
    """U(−1/√fan_in, 1/√fan_in): within the bounds, up to them, and of the right variance."""
    for layer in linears(MLPDiscriminator((100,), hidden=[300, 200])):
        bound = 1 / math.sqrt(layer.in_features)
        assert layer.weight.abs().max() <= bound
        if layer.weight.numel() > 1000:
            assert layer.weight.abs().max() > 0.99 * bound
            assert layer.weight.var().item() == pytest.approx(bound**2 / 3, rel=0.05)


@pytest.mark.parametrize("norm", NORMS)
def test_spectral_norm_is_on_every_layer_or_none(norm):
    nets = MLPGenerator((3,), hidden=[4], norm=norm), MLPDiscriminator((3,), hidden=[4], norm=norm)
    for layer in [layer for net in nets for layer in linears(net)]:
        assert is_parametrized(layer) == (norm == "spectral")


def test_spectral_norm_holds_the_largest_singular_value_at_one():
    d, x = MLPDiscriminator((6,), hidden=[5], norm="spectral"), torch.randn(3, 6)
    for _ in range(200):
        d(x)
    for layer in linears(d):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-4)


def test_batch_norm_normalises_the_batch_and_layer_norm_the_sample():
    x = 3 * torch.randn(64, 5) + 2
    batch = nn.Sequential(*mlp.Layers("relu", "batch").stack([5, 7])[:2])(x)
    torch.testing.assert_close(batch.mean(0), torch.zeros(7), atol=1e-5, rtol=0)
    layer = nn.Sequential(*mlp.Layers("relu", "layer").stack([5, 7])[:2])(x)
    torch.testing.assert_close(layer.mean(1), torch.zeros(64), atol=1e-5, rtol=0)
    assert not torch.allclose(layer.mean(0), torch.zeros(7), atol=1e-2)


@pytest.mark.parametrize(
    ("name", "at_minus_one"),
    [
        ("leaky_relu", -0.2),
        ("relu", 0.0),
        ("elu", math.exp(-1) - 1),
        ("silu", -1 / (1 + math.e)),
        ("gelu", -0.158655),
        ("tanh", math.tanh(-1)),
    ],
)
def test_activations(name, at_minus_one):
    assert ACTIVATIONS[name]()(torch.tensor(-1.0)).item() == pytest.approx(at_minus_one, abs=1e-5)


def test_every_activation_is_tested_and_usable():
    assert set(get_args(Activation)) == {*ACTIVATIONS, "maxout"}
    for name in get_args(Activation):
        d = MLPDiscriminator((2,), hidden=[3], activation=name)
        d(torch.randn(4, 2)).sum().backward()
        assert all(p.grad is not None for p in d.parameters())


def test_a_maxout_unit_is_the_largest_of_its_pieces():
    """Two units of three pieces: 1, 5, 3 and 4, 2, 6."""
    x = torch.tensor([[1.0, 4.0, 5.0, 2.0, 3.0, 6.0]], requires_grad=True)
    y = Maxout(3)(x)
    assert y.tolist() == [[5.0, 6.0]]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 0, 1, 0, 0, 1]]  # only the largest learns


def test_maxout_of_equal_pieces_is_their_value_and_one_of_them_learns():
    """Where all that is below has been dropped, the pieces are their biases, all 0 at first."""
    x = torch.zeros(1, 10, requires_grad=True)
    y = Maxout(5)(x)
    assert y.tolist() == [[0.0, 0.0]]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.sum() == 2
    assert x.grad.max() == 1


@pytest.mark.parametrize("norm", NORMS)
def test_maxout_layers_are_as_wide_as_they_say(norm):
    """Each Linear, and what normalises it, has the pieces of all units; what follows sees the units."""
    d = MLPDiscriminator((4,), hidden=[6, 3], activation="maxout", pieces=5, norm=norm)
    g = MLPGenerator((4,), noise_dim=2, hidden=[6], activation="maxout", pieces=2, norm=norm)
    assert [(layer.in_features, layer.out_features) for layer in linears(d)] == [(4, 30), (6, 15), (3, 1)]
    assert [(layer.in_features, layer.out_features) for layer in linears(g)] == [(2, 12), (6, 4)]
    assert d(g(torch.randn(7, 2))).shape == (7,)


def test_maxout_of_one_piece_is_linear():
    d = MLPDiscriminator((3,), hidden=[4], activation="maxout", pieces=1)
    x, y, zero = torch.randn(5, 3), torch.randn(5, 3), torch.zeros(5, 3)
    torch.testing.assert_close(d(x + y) + d(zero), d(x) + d(y))


@pytest.mark.parametrize(("init", "variance", "bound"), [("uniform", 0.05**2 / 3, 0.05), ("normal", 0.05**2, 0.3)])
@pytest.mark.parametrize("norm", NORMS)
def test_initial_weights_have_the_scale_asked_for(init, variance, bound, norm):
    """In every layer, under every norm; biases are 0."""
    d = MLPDiscriminator((100,), hidden=[300, 200], init=init, init_scale=0.05, norm=norm)
    g = MLPGenerator((100,), noise_dim=100, hidden=[300], init=init, init_scale=0.05, norm=norm)
    for layer in [*linears(d), *linears(g)]:
        weight = layer.parametrizations.weight.original if norm == "spectral" else layer.weight
        assert weight.abs().max() <= bound
        assert layer.bias.abs().max() == 0
        if weight.numel() > 1000:
            assert weight.var().item() == pytest.approx(variance, rel=0.05)
            assert weight.mean().item() == pytest.approx(0, abs=5 * math.sqrt(variance / weight.numel()))


@pytest.mark.parametrize("norm", NORMS)
def test_orthogonal_weights_stretch_each_direction_alike(norm):
    """All singular values of each layer are the gain, wherever it narrows or widens; biases are 0."""
    options = {"hidden": [6, 3, 8], "init": "orthogonal", "init_scale": 1.4, "norm": norm}
    for layer in (*linears(MLPDiscriminator((5,), **options)), *linears(MLPGenerator((4,), noise_dim=7, **options))):
        weight = layer.parametrizations.weight.original if norm == "spectral" else layer.weight
        values = torch.linalg.svdvals(weight)
        torch.testing.assert_close(values, torch.full_like(values, 1.4))
        assert layer.bias.abs().max() == 0


def test_dropout_is_before_every_layer_of_d():
    """Of the input with one rate, of each hidden layer with the other; with none there is no layer for it."""
    d = MLPDiscriminator((4,), hidden=[5, 6], activation="relu", dropout=0.5, input_dropout=0.2, pixels="unit")
    hidden = [nn.Linear, nn.ReLU, Dropout]
    assert [type(layer) for layer in d.net] == [nn.Flatten, UnitRange, Dropout, *hidden, *hidden, nn.Linear]
    assert [layer.p for layer in d.net if isinstance(layer, Dropout)] == [0.2, 0.5, 0.5]
    assert not any(isinstance(layer, Dropout) for layer in MLPDiscriminator((4,)).modules())


def test_unit_pixels_are_intensities():
    x = torch.tensor([[-1.0, 0.0, 1.0]])
    assert UnitRange()(x).tolist() == [[0.0, 0.5, 1.0]]
    signed, unit = (MLPDiscriminator((3,), hidden=[], pixels=pixels) for pixels in ("signed", "unit"))
    unit.net[2].load_state_dict(signed.net[1].state_dict())
    torch.testing.assert_close(unit(x), signed((x + 1) / 2))


@pytest.mark.parametrize(("name", "at_one"), [("tanh", math.tanh(1)), ("sigmoid", math.tanh(0.5)), ("identity", 1.0)])
def test_outputs(name, at_one):
    """2σ(x) − 1 = tanh(x/2)."""
    assert OUTPUTS[name]()(torch.tensor(1.0)).item() == pytest.approx(at_one)


@pytest.mark.parametrize("output", ["tanh", "sigmoid"])
def test_images_stay_in_the_range_of_the_data(output):
    g = MLPGenerator((1, 2, 2), noise_dim=2, hidden=[4], output=output)
    x = g(1e3 * torch.randn(200, 2))
    assert x.abs().max() <= 1
    assert x.min() < -0.5
    assert x.max() > 0.5


def test_identity_output_is_unbounded():
    assert MLPGenerator((2,), noise_dim=2, hidden=[4], output="identity")(1e3 * torch.randn(99, 2)).abs().max() > 1


def test_samples_do_not_depend_on_their_batch():
    """Without BatchNorm; gan.py puts real and generated samples through D in one pass for it."""
    for norm in ("none", "layer"):
        d, x = MLPDiscriminator((3,), hidden=[4], norm=norm).double(), torch.randn(6, 3).double()
        torch.testing.assert_close(d(x), torch.cat([d(x[:2]), d(x[2:])]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": [4, 0]}, r"model.discriminator.hidden=\[4, 0\]: a width of 0"),
        ({"hidden": [-1]}, "a width of -1"),
        ({"activation": "leakyrelu"}, "model.discriminator.activation=leakyrelu is not known. Did you mean leaky_relu"),
        ({"norm": "bacth"}, "model.discriminator.norm=bacth is not known. Did you mean batch"),
        ({"activation": "maxout", "pieces": 0}, "model.discriminator.pieces=0: a maxout unit has at least 1"),
        ({"init": "unifrom"}, "model.discriminator.init=unifrom is not known. Did you mean uniform"),
        ({"init": "normal"}, "model.discriminator.init=normal with model.discriminator.init_scale=null: "),
        ({"init_scale": 0.02}, "model.discriminator.init=default with model.discriminator.init_scale=0.02: "),
        ({"init": "normal", "init_scale": 0.0}, "model.discriminator.init_scale=0.0 must be positive"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_refuses_what_no_network_can_be_built_from(arguments, message):
    with pytest.raises(UserError, match=message):
        MLPDiscriminator((2,), **arguments)
    with pytest.raises(UserError, match=message.replace("discriminator", "generator")):
        MLPGenerator((2,), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dropout": 1.0}, "model.discriminator.dropout=1.0 is the share dropped: at least 0 and below 1"),
        ({"input_dropout": -0.1}, "model.discriminator.input_dropout=-0.1 is the share dropped"),
        ({"pixels": "units"}, "model.discriminator.pixels=units is not known. Did you mean unit"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_refuses_what_d_cannot_do_to_its_input(arguments, message):
    with pytest.raises(UserError, match=message):
        MLPDiscriminator((2,), **arguments)


@pytest.mark.usefixtures("untyped")
def test_refuses_an_unknown_output():
    with pytest.raises(UserError, match=r"model.generator.output=tan is not known. Did you mean tanh"):
        MLPGenerator((2,), output="tan")
