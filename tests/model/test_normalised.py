"""Layers with a norm: what is normalised over what, biases, initial weights."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ganduel.errors import UserError
from ganduel.model.normalised import Layers


def ones(norm):
    return Layers(norm, nn.init.ones_)


@pytest.mark.parametrize("layer", [lambda: nn.Conv2d(3, 4, 1), lambda: nn.ConvTranspose2d(3, 4, 1)])
def test_batch_norm_is_per_channel_and_layer_norm_per_sample(layer):
    x = 3 * torch.randn(6, 3, 5, 5) + 2
    batch, each = (Layers(norm, nn.init.xavier_uniform_).normed(layer())(x) for norm in ("batch", "layer"))
    torch.testing.assert_close(batch.mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(each.mean((1, 2, 3)), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(each.var((1, 2, 3), correction=0), torch.ones(6), atol=1e-3, rtol=0)


def test_flat_layers_have_flat_norms():
    x = torch.randn(6, 3)
    batch, each = (Layers(norm, nn.init.xavier_uniform_).normed(nn.Linear(3, 4))(x) for norm in ("batch", "layer"))
    torch.testing.assert_close(batch.mean(0), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(each.mean(1), torch.zeros(6), atol=1e-6, rtol=0)


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "spectral"])
def test_weights_are_initialised_and_only_a_batch_norm_takes_the_bias(norm):
    (layer, _), plain = ones(norm).normed(nn.Conv2d(2, 3, 1)), ones(norm).plain(nn.Linear(2, 3))
    assert (layer.bias is None) is (norm == "batch")
    assert plain.bias.tolist() == [0, 0, 0]
    assert is_parametrized(layer) is is_parametrized(plain) is (norm == "spectral")
    weight = layer.parametrizations.weight.original if norm == "spectral" else layer.weight
    assert torch.equal(weight, torch.ones(3, 2, 1, 1))


@pytest.mark.usefixtures("untyped")
def test_refuses_an_unknown_norm():
    with pytest.raises(UserError, match=r"^model\.generator\.norm=bach is not known\. Did you mean batch"):
        ones("bach").check("model.generator")
