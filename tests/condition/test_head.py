"""D's features are what its last layer is given; the network stays what it is."""

import pytest
import torch
from torch import nn

from ganduel.condition.head import tap_head
from ganduel.errors import UserError
from ganduel.model.mlp import MLPDiscriminator


@pytest.mark.parametrize("norm", ["none", "layer", "spectral"])
def test_features_and_head_are_the_network(norm):
    d, x = MLPDiscriminator((3,), hidden=[5, 4], norm=norm).eval(), torch.randn(6, 3)
    whole = d(x)
    tap = tap_head(d, "projection")
    assert tap.width == 4
    torch.testing.assert_close(d(x), whole)
    features = tap.take()
    assert features.shape == (6, 4)
    torch.testing.assert_close(tap.layer(features).squeeze(1), whole)
    assert tap.seen is None


def test_a_d_without_such_a_layer_is_refused():
    with pytest.raises(
        UserError, match=r"condition=auxiliary needs a D that ends in a linear layer .* Conv2d has none\."
    ):
        tap_head(nn.Conv2d(1, 1, 3), "auxiliary")
