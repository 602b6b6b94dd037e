"""Path length against Jacobians by hand."""

import pytest
import torch
from minibatches import minibatch

from ganduel.errors import UserError
from ganduel.factory.gan import build_gan
from ganduel.penalty.path_length import PathLength


def test_linear_generator():
    """G(z) = Wz has Jᵀv = Wᵀv: the lengths' distance from their average, which begins at 0 and moves by 1/100."""
    w, noise = torch.randn(3, 2).double(), torch.randn(5, 2).double()
    b = minibatch(torch.randn(5, 3).double(), noise=noise)
    penalty = PathLength(2.0).double()
    value = penalty(lambda z: z @ w.T, b, noise @ w.T)
    v = minibatch(b.real).draws.normal(noise @ w.T)
    lengths = (v @ w).norm(dim=1)
    assert penalty.average.item() == pytest.approx(0.01 * lengths.mean().item(), rel=1e-5)
    assert value.item() == pytest.approx(2 * (lengths - penalty.average).square().mean().item())


def test_an_image_is_measured_per_pixel():
    """V is divided by √(height · width), so that the length does not grow with the resolution."""
    noise = torch.randn(4000, 2).double()
    for size in (4, 16):
        net = lambda z, size=size: z[:, :1, None, None].expand(-1, 1, size, size)  # noqa: E731
        penalty = PathLength(1.0, decay=0.0).double()
        penalty(net, minibatch(noise, noise=noise), net(noise))
        assert penalty.average.item() == pytest.approx((2 / torch.pi) ** 0.5, rel=0.05)  # E|N(0, 1)|


def test_labels_are_passed_on():
    noise, labels = torch.randn(3, 2), torch.tensor([0, 1, 2])
    seen = []
    PathLength()(lambda z, y: seen.append(y) or z * y[:, None], minibatch(noise, labels, noise), noise)
    assert seen[0] is labels


def test_it_comes_in_every_fourth_iteration_and_its_average_is_kept():
    assert PathLength().every == 4
    assert PathLength().state_dict().keys() == {"average"}
    with pytest.raises(UserError, match=r"PathLength: decay=1\.0 must be at least 0 and below 1"):
        PathLength(decay=1.0)


def test_a_generator_with_batch_norm_is_refused(tiny, images):
    """It ended in torch's stack trace on an in-place operation, in the first iteration in which it was due."""
    with pytest.raises(UserError, match=r"PathLength needs G's slope in each noise, and a BatchNorm in G mixes"):
        build_gan(tiny("penalty_g=[path_length]", "model.generator.norm=batch"), images)
