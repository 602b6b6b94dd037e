"""ψ(φ(x)) + v_y · φ(x)."""

from copy import deepcopy

import torch

from ganduel.condition.projection import Projection
from ganduel.model.mlp import MLPDiscriminator


def made(norm="none"):
    return Projection().discriminator(lambda shape: MLPDiscriminator(shape, hidden=[5], norm=norm), (3,), 4)


def test_without_directions_it_is_the_network():
    """V begins at 0: the label says nothing yet."""
    d, x = made(), torch.randn(6, 3)
    torch.testing.assert_close(d(x, torch.arange(6) % 4), d.net(x))


def test_a_direction_moves_its_own_class():
    d, x, y = made(), torch.randn(6, 3), torch.tensor([0, 1, 2, 3, 0, 1])
    with torch.no_grad():
        d.directions.weight[1] = torch.arange(5.0)
        expected = d.net(x)
        expected = expected + (y == 1) * (d.tap[0].take() @ torch.arange(5.0))
        torch.testing.assert_close(d(x, y), expected)


def test_a_copy_has_a_tap_of_its_own():
    """As the trial of a network needs it, and its average."""
    d, x, y = made(), torch.randn(6, 3), torch.arange(6) % 4
    copy = deepcopy(d)
    with torch.no_grad():
        copy.tap[0].layer.weight.zero_()
        copy.tap[0].layer.bias.zero_()
    assert not copy(x, y).any()
    assert d(x, y).any()
    assert not [key for key in d.state_dict() if key.startswith("tap")]


def test_with_spectral_norm_the_directions_are_normalised_too():
    d = made("spectral")
    for _ in range(30):
        d(torch.randn(6, 3), torch.arange(6) % 4)
    assert abs(torch.linalg.matrix_norm(d.directions.weight, 2).item() - 1) < 0.05
