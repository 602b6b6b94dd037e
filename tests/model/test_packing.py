"""Packing: which samples share a logit, and what a GAN makes of a D that packs."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from ganduel.callback.statistics import Statistics
from ganduel.callback.theory import Theory
from ganduel.data.base import TensorData
from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError
from ganduel.factory.gan import build_gan
from ganduel.factory.networks import build_networks
from ganduel.model.dcgan import DCGANDiscriminator
from ganduel.model.mlp import MLPDiscriminator
from ganduel.model.packing import Packed, packed_shape


def test_consecutive_samples_share_a_logit():
    """Their values one after another, or their channels."""
    points, x = MLPDiscriminator((6,), hidden=[5]), torch.randn(4, 3)
    torch.testing.assert_close(Packed(points, 2, (3,))(x), points(torch.stack([x[:2].flatten(), x[2:].flatten()])))
    images, x = DCGANDiscriminator((6, 8, 8), width=2), torch.randn(6, 2, 8, 8)
    expected = images(torch.stack([torch.cat([*x[:3]]), torch.cat([*x[3:]])]))
    torch.testing.assert_close(Packed(images, 3, (2, 8, 8))(x), expected)


@pytest.mark.parametrize(("norm", "expected"), [("none", False), ("batch", True)])
def test_samples_are_mixed_beyond_a_pack_by_batch_norm_alone(norm, expected):
    """So that without it real and generated samples may share a pass, and the number of ranks changes nothing."""
    assert Packed(MLPDiscriminator((4,), hidden=[5], norm=norm), 2, (2,)).mixes_samples is expected


def test_a_whole_number_of_packs_is_needed():
    with pytest.raises(
        UserError, match=r"^pack=3: 8 samples are no whole number of packs\. Use a batch_size that is a mu"
    ):
        Packed(MLPDiscriminator((6,)), 3, (2,))(torch.randn(8, 2))


def test_labels_are_refused():
    net = nn.Linear(4, 1)
    net.classes = 10
    with pytest.raises(UserError, match=r"^pack=2: D \(Linear\) takes labels, and a pack has none\. Use pack=1\.$"):
        Packed(net, 2, (2,))


def test_a_run_says_how_many(tiny: Callable):
    """The initial weights of a D for packs; without packing D is as it always was."""
    _, packed = build_networks(tiny("pack=2"), (3,))
    assert (packed.pack, packed.net.net[1].in_features) == (2, 6)
    _, plain = build_networks(tiny(), (3,))
    assert (plain.pack, type(plain)) == (1, MLPDiscriminator)
    assert packed_shape((3, 8, 8), 2) == (6, 8, 8)


def test_real_and_generated_samples_are_never_in_one_pack(tiny: Callable):
    """In one pass through D the logits of either are those of a pass of its own."""
    gan = build_gan(tiny("pack=2"), TensorData(torch.randn(8, 2)))
    real, fake = torch.randn(4, 2), torch.randn(4, 2)
    logits = gan.logits(torch.cat([real, fake])).chunk(2)
    torch.testing.assert_close(logits, (gan.logits(real), gan.logits(fake)))
    assert not gan.mixes_samples


def test_a_batch_that_packs_do_not_divide_is_refused_when_the_gan_is_built(tiny: Callable):
    with pytest.raises(UserError, match=r"^pack=3: 4 samples are no whole number"):
        build_gan(tiny("pack=3"), TensorData(torch.randn(8, 2)))


def test_trains_with_a_penalty_on_slopes_and_callbacks(fit: Callable, tiny: Callable):
    """Where the density is known too: no D(x) of a single x is compared with the best one."""
    theory = Theory(1, points=20)
    gan = build_gan(tiny("pack=2", "penalty=r1"), Ring8())
    before = [p.clone() for p in gan.discriminator.parameters()]
    fit("trainer.max_steps=2", gan=gan, callbacks=[theory, Statistics(1)])
    assert not theory.on
    assert not any(torch.equal(*pair) for pair in zip(before, gan.discriminator.parameters(), strict=True))
