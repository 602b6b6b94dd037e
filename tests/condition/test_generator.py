"""How G learns the class: by hand, and what is refused."""

import pytest
import torch
from torch import nn

from ganduel.condition.generator import BatchNormGenerator, ConditionalBatchNorm, EmbeddingGenerator, LabelCondition
from ganduel.errors import UserError
from ganduel.factory.networks import build_networks
from ganduel.model.mlp import MLPGenerator

LABELS = torch.tensor([0, 2, 2, 1])


def test_an_embedding_stands_beside_the_noise():
    inner = MLPGenerator((3,), noise_dim=6, hidden=[5])
    g = EmbeddingGenerator(inner, 4, 2)
    z = g.draw(4, torch.Generator())
    assert (z.shape, g.noise_dim, g.classes, inner.class_dim) == ((4, 4), 4, 4, 2)
    with torch.no_grad():
        g.embedding.weight.copy_(torch.arange(8.0).view(4, 2))
        expected = inner(torch.cat([z, torch.tensor([[0.0, 1], [4, 5], [4, 5], [2, 3]])], 1))
        torch.testing.assert_close(g(z, LABELS), expected)


def test_a_batch_norm_has_a_scale_and_a_shift_per_class():
    """1 and 0 in the beginning: equal to the BatchNorm that it replaces, running statistics included."""
    plain = nn.BatchNorm2d(2)
    norm = ConditionalBatchNorm(plain, 3)
    x = torch.randn(4, 2, 3, 3)
    norm.labels = LABELS
    torch.testing.assert_close(norm(x), plain(x))
    torch.testing.assert_close(norm.norm.running_mean, plain.running_mean)
    with torch.no_grad():
        norm.scale.weight[2], norm.shift.weight[1] = torch.tensor([2.0, 3.0]), torch.tensor([10.0, 20.0])
    expected = plain(x) * torch.tensor([[1.0, 1], [2, 3], [2, 3], [1, 1]])[:, :, None, None]
    expected[3] += torch.tensor([10.0, 20.0])[:, None, None]
    torch.testing.assert_close(norm(x), expected)


def test_each_batch_norm_of_g_is_replaced():
    g = BatchNormGenerator(MLPGenerator((3,), noise_dim=6, hidden=[5, 5], norm="batch"), 4)
    norms = [m for m in g.modules() if isinstance(m, ConditionalBatchNorm)]
    assert len(norms) == 2
    assert not any(isinstance(m, nn.BatchNorm1d) and m.affine for m in g.modules())
    z = torch.randn(4, 6)
    same = g(z, LABELS)
    with torch.no_grad():
        norms[1].shift.weight[2] = 5.0
    changed = (g(z, LABELS) != same).any(1)
    assert changed.tolist() == [False, True, True, False]
    assert norms[0].labels is None, "labels of a minibatch are not kept"


def test_what_is_refused():
    with pytest.raises(UserError, match=r"condition\.generator=batch_norm: MLPGenerator has no BatchNorm\."):
        LabelCondition("batch_norm").generator(lambda: MLPGenerator((3,), hidden=[5]), 4)
    with pytest.raises(UserError, match=r"condition\.embedding=0 must be at least 1"):
        LabelCondition(embedding=0)


def test_a_generator_whose_noise_is_as_wide_as_its_samples_is_refused(compose):
    """It ended in a stack trace, KeyError: 'noise_dim'."""
    config = compose("model=affine", "data=ring8", "condition=concat")
    with pytest.raises(UserError, match=r"AffineGenerator has no noise_dim, .* Use another model, such as model=mlp"):
        build_networks(config, (2,), 8)
