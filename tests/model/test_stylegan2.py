"""StyleGAN2: numbers of weights, style mixing, noise, what depends on what."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from ganduel.errors import UserError
from ganduel.model.base import keyed_layers
from ganduel.model.stylegan2 import PixelNorm, StyleGAN2Discriminator, StyleGAN2Generator
from ganduel.rng import Draws


def count(net):
    return sum(p.numel() for p in net.parameters())


def make(batch_size=4, seed=0, **options: Any):
    """A small G in training, at the beginning of an iteration's draws; the noise has a strength."""
    g = StyleGAN2Generator((1, 8, 8), **{"noise_dim": 6, "mapping_layers": 1, "max_width": 4, **options})
    draws = Draws("cpu", batch_size)
    for layer in keyed_layers(g):
        layer.draws = draws
        if layer is not g:
            nn.init.ones_(layer.strength)
    draws.seed(seed)
    return g


def test_as_many_weights_as_in_the_paper():
    """Config F at 1,024 × 1,024, RGB: 30,370,060 and 29,012,513, which its code prints."""
    with torch.device("meta"):
        g, d = StyleGAN2Generator((3, 1024, 1024)), StyleGAN2Discriminator((3, 1024, 1024))
    widths = [512] * 5 + [256, 128, 64, 32]
    pairs = [(512, 512), *((a, c) for a, b in pairwise(widths) for a, c in ((a, b), (b, b)))]
    styled = sum(513 * a + 9 * a * b + b + 1 for a, b in pairs)  # style, weights, bias, strength of the noise
    to_image = sum(513 * a + 3 * a + 3 for a in widths)
    assert count(g) == 8 * 513 * 512 + 512 * 4 * 4 + styled + to_image == 30_370_060
    blocks = sum(9 * b * b + b + 9 * b * a + a + b * a for a, b in pairwise(widths))
    last = 9 * 513 * 512 + 512 + (512 * 4 * 4 + 1) * 512 + 512 + 1
    assert count(d) == 3 * 32 + 32 + blocks + last == 29_012_513


def test_mapping_learns_at_a_hundredth_of_the_pace():
    g = StyleGAN2Generator((1, 8, 8), noise_dim=6, max_width=4)
    assert [layer.multiplier for layer in g.mapping if hasattr(layer, "multiplier")] == [0.01] * 8
    torch.testing.assert_close(PixelNorm()(torch.randn(3, 6)).square().mean(1), torch.ones(3))


def test_in_evaluation_a_sample_is_a_function_of_its_noise():
    g = make().eval()
    z = torch.randn(3, 6)
    torch.testing.assert_close(g(z)[1:2], g(z[1:2]))
    copy = make()
    copy.load_state_dict(g.state_dict())  # the fixed values of its pixels are in the checkpoint
    assert torch.equal(copy.eval()(z), g(z))


def test_in_training_noise_and_styles_come_from_the_draws_alone():
    z = torch.randn(4, 6)
    torch.manual_seed(1)
    first, state = make(), torch.get_rng_state()
    torch.manual_seed(1)
    again, other = make(), None
    x = first(z)
    torch.manual_seed(1)
    other = make(seed=9)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again(z), x)
    assert not torch.equal(other(z), x)


def test_ranks_divide_one_draw():
    torch.manual_seed(1)
    whole, z = make(), torch.randn(4, 6)
    x = whole(z)
    for rank in range(2):
        rows = slice(2 * rank, 2 * rank + 2)
        draws = Draws("cpu", 4, rows)
        draws.seed(0)
        for layer in keyed_layers(whole):
            layer.draws = draws
        torch.testing.assert_close(whole(z[rows]), x[rows])


def test_the_styles_of_a_sample_are_mixed_with_the_probability_asked_for():
    """The first layer keeps its own; where the other one takes over is uniform over the rest."""
    n = 4000
    g = make(n, mixing=0.9, noise_dim=2)
    z = torch.randn(n, 2)
    w = g.mapping(z)
    own = torch.stack([(style == w).all(1) for style in g.styles(z)], 1)  # (n, 4 layers and images)
    assert own[:, 0].all()
    assert (own[:, 1:] <= own[:, :-1]).all()  # once the other's, always the other's
    first = own.sum(1)
    shares = [(first == i).double().mean().item() for i in (1, 2, 3, 4)]
    assert shares == pytest.approx([0.3, 0.3, 0.3, 0.1], abs=0.03)
    g.eval()
    assert all(torch.equal(style, g.mapping(z)) for style in g.styles(z))


def test_mixed_styles_are_of_one_class():
    """Without noise in z but with a class, both styles are the mapping of that class's embedding."""
    g = make(mixing=1.0)
    g.class_dim = z_dim = 6
    z = torch.randn(4, z_dim)
    assert all(torch.equal(style, g.mapping(z)) for style in g.styles(z))


def test_without_mixing_all_layers_have_one_style():
    g, z = make(mixing=0.0), torch.randn(4, 6)
    assert all(torch.equal(style, g.mapping(z)) for style in g.styles(z))


def test_the_noise_of_a_pixel_is_the_same_in_all_channels_and_new_for_each_sample():
    layer = make().layers[2].noise
    added = layer(torch.zeros(4, 3, 8, 8))
    assert torch.equal(added[:, :1].expand(4, 3, 8, 8), added)
    assert not torch.equal(added[0], added[1])
    assert added.std().item() == pytest.approx(1, rel=0.2)


def test_training_without_draws_is_refused():
    g = StyleGAN2Generator((1, 8, 8), noise_dim=6, mapping_layers=1, max_width=4)
    with pytest.raises(UserError, match=r"set `draws`, or call eval\(\)"):
        g(torch.randn(2, 6))


def test_d_says_that_it_mixes_samples():
    """So that it is not tried out, which takes a while for large images."""
    assert StyleGAN2Discriminator((1, 8, 8), max_width=4).mixes_samples is True
    assert StyleGAN2Discriminator((1, 8, 8), max_width=4, minibatch_std_group=1).mixes_samples is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mixing": 1.5}, r"model\.generator\.mixing=1\.5 is a probability"),
        ({"mapping_layers": -1}, r"model\.generator\.mapping_layers=-1 must be at least 0"),
        ({"shape": (3, 30, 30)}, r"model=stylegan2 halves images .* 28 × 28 or 32 × 32 can"),
        ({"base_width": 3}, r"model\.generator\.base_width=3 leaves no channel at 8 pixels"),
    ],
)
def test_refuses_what_cannot_be_built(arguments, message):
    with pytest.raises(UserError, match=message):
        StyleGAN2Generator(**{"shape": (3, 8, 8), "max_width": 4, **arguments})
