"""Without an augmentation D sees the very samples."""

import torch

from ganduel.augment.base import Augment
from ganduel.augment.none import NoAugment
from ganduel.factory.gan import build_gan


def test_samples_are_the_same_tensor_and_so_is_their_gradient():
    x = torch.randn(3, 1, 2, 2, requires_grad=True)
    y = NoAugment()(x)
    assert y is x
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    torch.testing.assert_close(gradient, 2 * x.detach())


def test_nothing_is_adapted_or_kept():
    augment = NoAugment()
    augment.adapt({"logit/real": torch.randn(5)})
    assert augment.state_dict() == {}
    assert isinstance(augment, Augment)


def test_a_gan_without_one_has_this(tiny, images):
    assert type(build_gan(tiny(), images).augment) is NoAugment
    assert type(build_gan(tiny("augment=none"), images).augment) is NoAugment
