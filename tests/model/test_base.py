"""Noise from its generator; logits, labels, and whether a D mixes the samples of a batch."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ganduel import rng
from ganduel.errors import UserError
from ganduel.model.base import (
    as_logits,
    at_least_float32,
    check_labels,
    check_outputs,
    check_parts,
    conditioned,
    copied,
    depends_on_ranks,
    initialise_lazy_layers,
)
from ganduel.model.mlp import MLPDiscriminator, MLPGenerator


def draw(noise, n=40_000, dim=3, seed=0):
    return MLPGenerator((2,), noise_dim=dim, noise=noise, hidden=[]).draw(n, rng.generator(seed))


@pytest.mark.parametrize(("noise", "kurtosis"), [("normal", 3.0), ("uniform", 1.8)])
def test_moments(noise, kurtosis):
    """Zero mean and unit variance in each coordinate, so that they are exchangeable; the fourth tells them apart."""
    z = draw(noise).double()
    assert z.mean(0).abs().max() < 5 / math.sqrt(40_000)
    assert (z.var(0) - 1).abs().max() < 5 * math.sqrt((kurtosis - 1) / 40_000)
    assert z.pow(4).mean().item() == pytest.approx(kurtosis, rel=0.03)
    assert (torch.corrcoef(z.T) - torch.eye(3)).abs().max() < 0.03


def test_uniform_support_is_all_of_plus_minus_root_three():
    z = draw("uniform")
    assert z.abs().max() <= math.sqrt(3)
    assert z.max() > 1.73
    assert z.min() < -1.73


@pytest.mark.parametrize("noise", ["normal", "uniform"])
def test_draws_follow_the_given_generator_alone(noise):
    before = torch.get_rng_state()
    assert torch.equal(draw(noise, 5, seed=1), draw(noise, 5, seed=1))
    assert not torch.equal(draw(noise, 5, seed=1), draw(noise, 5, seed=2))
    stream = rng.generator(0)
    network = MLPGenerator((2,), noise_dim=3, noise=noise, hidden=[])
    before = torch.get_rng_state()
    assert not torch.equal(network.draw(5, stream), network.draw(5, stream))
    assert torch.equal(torch.get_rng_state(), before)


def test_shape_and_type():
    z = draw("normal", 7, 5)
    assert z.shape == (7, 5)
    assert z.dtype == torch.float32


@pytest.mark.parametrize("dim", [0, -3])
def test_refuses_noise_without_dimensions(dim):
    with pytest.raises(UserError, match=f"model.generator.noise_dim={dim}: .*Try 64"):
        MLPGenerator((2,), noise_dim=dim)


@pytest.mark.usefixtures("untyped")
def test_refuses_an_unknown_distribution():
    with pytest.raises(UserError, match=r"model.generator.noise=cauchy is not known. There are: normal, uniform"):
        MLPGenerator((2,), noise="cauchy")


class WithoutParameters(nn.Module):
    """Looks at each sample alone."""

    def forward(self, x):
        return x.flatten(1).sum(1)


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("output", "kind"),
    [
        (torch.zeros(4, 1), r"\(4, 1\)\. Squeeze it"),
        (torch.zeros(()), r"\(\)\. Squeeze it"),
        ((torch.zeros(4),), "a tuple"),
        (None, "a NoneType"),
    ],
)
def test_d_gives_one_logit_per_sample(output, kind):
    with pytest.raises(UserError, match=f"^D must give one logit per sample, shape .batch,., not {kind}\\.$"):
        as_logits(output)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_logits_are_in_float32_at_least(dtype, expected):
    logits = as_logits(torch.ones(3, dtype=dtype))
    assert (logits.dtype, logits.tolist()) == (expected, [1, 1, 1])
    assert at_least_float32(torch.ones(2, 3, dtype=dtype)).dtype == expected


def test_labels_are_the_second_argument_and_none_is_no_argument():
    class Count(nn.Module):
        def forward(self, *arguments):
            return torch.tensor(len(arguments))

    x, y = torch.ones(2, 3), torch.tensor([0, 1])
    assert (conditioned(Count(), x, None), conditioned(Count(), x, y)) == (1, 2)


UNSAID = object()


def network(classes):
    net = nn.Linear(1, 1)
    if classes is not UNSAID:
        net.classes = classes
    return net


@pytest.mark.parametrize(("known", "classes"), [(None, None), (10, 10), (UNSAID, None)])
def test_networks_that_fit_the_data(known, classes):
    """A module that says nothing of classes takes none."""
    check_labels(network(known), network(known), classes)


@pytest.mark.parametrize(
    ("generator", "discriminator", "classes", "message"),
    [
        (10, None, None, r"^G \(Linear\) takes labels of 10 classes, and the data have none\.$"),
        (None, 10, None, r"^D \(Linear\) takes labels of 10 classes, and the data have none\.$"),
        (10, None, 10, r"^the data have labels of 10 classes, and D \(Linear\) takes none\.$"),
        (UNSAID, 10, 10, r"^the data have labels of 10 classes, and G \(Linear\) takes none\.$"),
        (10, 3, 10, r"^D \(Linear\) takes labels of 3 classes, and the data have 10\.$"),
    ],
)
def test_networks_that_do_not_fit_the_data_are_refused(generator, discriminator, classes, message):
    with pytest.raises(UserError, match=message):
        check_labels(network(generator), network(discriminator), classes)


def test_every_part_is_asked_about_the_others():
    """The loss about D and the penalties, the augmentation about loss and data, each penalty about its network."""
    g, d, asked = nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1), nn.Flatten(0)), []
    asking = SimpleNamespace(check=lambda *about: asked.append(about), outputs=1)
    batches = SimpleNamespace(
        data=SimpleNamespace(shape=(1,), classes=None), batch_size=4, draw_noise=lambda n, rng: torch.zeros(n, 1)
    )
    penalties = {"penalties_d": {"one": asking, "two": asking}, "penalties_g": {"three": asking}}
    gan = SimpleNamespace(
        generator=g, discriminator=d, loss=asking, augment=asking, opponent=asking, batches=batches, **penalties
    )
    check_parts(gan)
    assert asked.pop() == (gan,)  # by the unrolled D, of all that it is made of
    assert [(about[0], *map(list, about[1:])) for about in asked] == [
        (d, [asking, asking]), (asking, [1]), (d, [1]), (d, [1]), (g, [1])]  # fmt: skip


@pytest.mark.parametrize(
    ("g_norm", "d_norm", "mixes", "expected"),
    [
        (nn.Identity(), nn.Identity(), False, False),
        (nn.BatchNorm1d(2), nn.Identity(), False, True),
        (nn.Identity(), nn.BatchNorm1d(2), True, True),
        (nn.SyncBatchNorm(2), nn.SyncBatchNorm(2), True, False),  # as trainer.sync_batchnorm leaves them
        (nn.Identity(), nn.Identity(), True, True),  # minibatch standard deviation, over the rows of a rank
    ],
)
def test_whether_the_number_of_ranks_changes_the_training(g_norm, d_norm, mixes, expected):
    assert depends_on_ranks(nn.Sequential(g_norm), nn.Sequential(d_norm), mixes) is expected


class Images(nn.Module):
    """A G that gives images of any shape."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, z):
        return z.new_zeros(len(z), *self.shape)


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("generator", "discriminator", "message"),
    [
        (
            Images(3),
            WithoutParameters(),
            r"^G \(Images\) gives samples of shape \(3,\), and the data's are of \(2,\)\.$",
        ),
        (Images(2, 1), WithoutParameters(), r"^G \(Images\) gives samples of shape \(2, 1\), and the data's are"),
        (nn.LSTM(4, 2), WithoutParameters(), r"^G \(LSTM\) gives samples as a tuple, and the data's are of"),
        (Images(2), nn.LSTM(2, 1), r"^D \(LSTM\) must give one logit per sample, shape \(batch,\), not a tuple\.$"),
        (Images(2), nn.Linear(2, 1), r"^D \(Linear\) must give one logit per sample, .* not \(6, 1\)\. Squeeze it\.$"),
        (nn.LazyLinear(2), WithoutParameters(), r"^G \(LazyLinear\) has lazy layers without a shape\. Call it once"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_networks_that_give_something_else_are_refused_before_they_train(generator, discriminator, message):
    with pytest.raises(UserError, match=message):
        check_outputs(generator, discriminator, torch.zeros(6, 4), (2,), None)


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_a_network_that_cannot_be_copied_is_refused_with_what_can():
    """Such as one with torch's old weight norm, whose weights are computed."""
    with pytest.raises(UserError, match=r"^Linear cannot be copied .*Use torch\.nn\.utils\.parametrizations"):
        copied(nn.utils.weight_norm(nn.Linear(4, 2)))


@pytest.mark.usefixtures("untyped")  # beartype draws from Python's generator
def test_networks_are_tried_out_on_copies():
    """Running statistics, spectral norm's vectors, draws and the global generators stay as they are."""
    g = nn.Sequential(spectral_norm(nn.Linear(4, 9)), nn.BatchNorm1d(9), nn.Dropout(), nn.Linear(9, 2))
    d = MLPDiscriminator((2,), hidden=[3], norm="batch", dropout=0.5)
    states = [{name: value.clone() for name, value in net.state_dict().items()} for net in (g, d)]
    torch_state, host = torch.get_rng_state(), rng.host_states()
    check_outputs(g, d, torch.randn(6, 4, generator=rng.generator(0)), (2,), None)
    for net, state in zip((g, d), states, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert rng.host_states() == host


def test_a_batch_norm_is_not_trained_on_one_sample_at_a_time():
    """What torch refuses is refused with what to type; of an image of several pixels a BatchNorm can be trained."""
    g, d = Images(2), nn.Sequential(nn.BatchNorm1d(2), WithoutParameters())
    check_outputs(g, d, torch.zeros(2, 4), (2,), None)
    with pytest.raises(
        UserError, match=r"^D \(Sequential\) fails on a minibatch of shape \(1, 2\): .*larger batch_size"
    ):
        check_outputs(g, d, torch.zeros(1, 4), (2,), None)
    pixels = nn.Sequential(nn.BatchNorm2d(1), WithoutParameters())
    check_outputs(Images(1, 3, 3), pixels, torch.zeros(1, 4), (1, 3, 3), None)


def test_lazy_layers_get_their_shapes_and_nothing_else_changes():
    """A frozen part stays in evaluation mode; running statistics have seen nothing."""
    net = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d(), nn.Dropout().eval())
    initialise_lazy_layers(net, torch.ones(2, 5), None)
    assert net[0].weight.shape == (3, 5)
    assert [module.training for module in net] == [True, True, False]
    assert net[1].running_mean.tolist() == [0, 0, 0]
    assert net[1].num_batches_tracked == 0
