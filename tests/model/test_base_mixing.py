"""Networks in which the samples of a batch have to do with each other are found, whoever wrote them."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from ganduel import rng
from ganduel.model.base import (
    Discriminator,
    keyed_layers,
    mixes_samples,
    uses_batch_norm,
)
from ganduel.model.dropout import Dropout
from ganduel.model.mlp import MLPDiscriminator

BATCH_NORMS = pytest.mark.parametrize(
    ("norm", "expected"), [("none", False), ("layer", False), ("spectral", False), ("batch", True)]
)


@BATCH_NORMS
def test_batch_norm_is_found(norm, expected):
    assert uses_batch_norm(MLPDiscriminator((2,), hidden=[3], norm=norm)) is expected


def test_layers_that_draw_at_random_are_found():
    """User layers too; torch's Dropout, which cannot be given draws, is not among them."""

    class Noisy(nn.Module, rng.KeyedRandom):
        pass

    g = nn.Sequential(nn.Linear(1, 1), nn.Sequential(Noisy()))
    d = nn.Sequential(Dropout(0.5), nn.Dropout(0.5))
    assert keyed_layers(nn.ModuleList([g, d])) == [g[1][0], d[0]]


class FunctionalBatchNorm(nn.Module):
    """A batch norm that no search for modules finds, in a plain module."""

    def __init__(self, width=2):
        super().__init__()
        self.first, self.last = nn.Linear(width, 3), nn.Linear(3, 1)

    def forward(self, x):
        return self.last(functional.batch_norm(self.first(x), None, None, training=True).tanh()).squeeze(1)


class MinibatchDeviation(FunctionalBatchNorm):
    """A feature that all samples of a batch share: the mean of their standard deviations (Karras et al. 2018)."""

    def forward(self, x):
        h = self.first(x).tanh()
        return self.last(h + h.std(0).mean()).squeeze(1)


class WithinClasses(FunctionalBatchNorm):
    """Centres each sample by the others of its class."""

    classes = 3

    def forward(self, x, y):
        h = self.first(x)
        return self.last(h - torch.stack([h[y == label].mean(0) for label in y])).squeeze(1)


class Scaled(WithinClasses):
    """Labels that mix nothing."""

    def forward(self, x, y):
        return self.last(self.first(x)).squeeze(1) * y


class WithoutParameters(nn.Module):
    """Looks at each sample alone."""

    def forward(self, x):
        return x.flatten(1).sum(1)


@BATCH_NORMS
def test_batch_norm_mixes_samples_and_other_norms_do_not(norm, expected):
    assert mixes_samples(MLPDiscriminator((2,), hidden=[3], norm=norm), (2,)) is expected


@pytest.mark.parametrize(
    ("discriminator", "expected"),
    [
        (FunctionalBatchNorm(), True),
        (MinibatchDeviation(), True),
        (FunctionalBatchNorm().double(), True),
        (nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1), nn.Flatten(0)), True),
        (MLPDiscriminator((2,), hidden=[30], dropout=0.5, input_dropout=0.2), False),
        (MLPDiscriminator((2,), hidden=[30], dropout=0.5, norm="spectral"), False),
        (nn.Sequential(nn.Linear(2, 9), nn.Dropout(0.5), nn.Linear(9, 1), nn.Flatten(0)), False),
        (nn.Sequential(spectral_norm(nn.Linear(2, 1)), nn.Flatten(0)), False),
        (MLPDiscriminator((2,), hidden=[30]).double(), False),
        (WithoutParameters(), False),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_mixes_the_samples_of_a_batch_is_found_by_trial(discriminator, expected):
    """And D is left as it was: its state, its mode, its gradients, its draws, the global generator."""
    for layer in discriminator.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()  # from the test's seed: a deviation times weights whose sum is 0 mixes nothing
    state = {name: value.clone() for name, value in discriminator.state_dict().items()}
    stream = torch.get_rng_state()
    assert mixes_samples(discriminator, (2,)) is expected
    assert all(torch.equal(value, state[name]) for name, value in discriminator.state_dict().items())
    assert torch.equal(torch.get_rng_state(), stream)
    assert discriminator.training
    assert all(p.grad is None for p in discriminator.parameters())
    assert all(layer.draws is None for layer in keyed_layers(discriminator))


def test_images_are_tried_as_images():
    """Minibatch standard deviation as a further channel, and the same network without it."""

    class Convolutional(nn.Module):
        def __init__(self, deviation):
            super().__init__()
            self.deviation, self.net = deviation, nn.Conv2d(2, 1, (4, 3))

        def forward(self, x):
            extra = x.std(0).mean().expand_as(x) if self.deviation else torch.zeros_like(x)
            return self.net(torch.cat([x, extra], 1)).flatten()

    assert [mixes_samples(Convolutional(deviation), (1, 4, 3)) for deviation in (True, False)] == [True, False]


@pytest.mark.parametrize(("discriminator", "expected"), [(WithinClasses(), True), (Scaled(), False)])
def test_with_labels_it_is_tried_with_labels(discriminator, expected):
    assert mixes_samples(discriminator, (2,), 3) is expected


@pytest.mark.parametrize("stated", [True, False])
def test_a_d_may_say_so_itself(stated):
    """Nothing is tried then."""

    class Stated(Discriminator):
        mixes_samples = stated

        def forward(self, x):
            raise AssertionError("tried")

    assert mixes_samples(Stated(), (2,)) is stated
