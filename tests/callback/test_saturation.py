"""Slopes and gradients of both loss forms: each against its closed form, and that watching them changes nothing."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganduel import rng
from ganduel.augment.base import Augment
from ganduel.callback.saturation import Saturation, both_gradients, draw, lengths_and_cosine, slopes
from ganduel.data.base import TensorData
from ganduel.factory.gan import build_gan
from ganduel.loss.base import Loss
from ganduel.loss.hinge import Hinge
from ganduel.loss.least_squares import LeastSquares
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.saturating import Saturating
from ganduel.model.base import Discriminator, Generator, keyed_layers
from ganduel.tracking.files import rows
from ganduel.tracking.run_logger import RunLogger

FORMS = (Saturating(), NonSaturating())


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=20))
def test_slopes_are_those_of_the_losses(values):
    """Per sample ∂L_G/∂b is −D for the saturating form and −(1 − D) for the other."""
    b = torch.tensor(values, dtype=torch.float64)
    row = slopes(b)
    for form, key in zip(FORMS, ("saturating", "nonsaturating"), strict=True):
        slope = -form.curve(b)[1]
        assert row[f"saturation/slope_{key}"] == pytest.approx(
            slope.mean().item(), rel=1e-8
        )  # torch rounds softplus beyond 20
        for q in (5, 50, 95):
            quantile = slope.quantile(q / 100).item()
            assert row[f"saturation/slope_{key}_q{q:02}"] == pytest.approx(
                quantile, rel=1e-8
            )  # torch rounds softplus beyond 20


def test_values_by_hand():
    """D = 1/4, 3/4 and 1/201: only the last is below 0.01."""
    b = torch.tensor([-math.log(3), math.log(3), -math.log(200)])
    row = slopes(b)
    assert row["saturation/slope_saturating"] == pytest.approx((1 + 1 / 201) / 3, rel=1e-6)
    assert row["saturation/slope_nonsaturating"] == pytest.approx((1 + 200 / 201) / 3, rel=1e-6)
    assert row["saturation/ratio"] == pytest.approx((1 + 1 / 201) / (1 + 200 / 201), rel=1e-6)
    assert row["saturation/share_rejected"] == pytest.approx(1 / 3)
    assert row["saturation/slope_saturating_q50"] == pytest.approx(0.25, rel=1e-6)


def test_saturation_is_seen_where_float32_has_rounded_d_to_0():
    """The ratio at b = −200 is e^−200, and the slope of the non-saturating form is 1."""
    row = slopes(torch.full((3,), -200.0))
    assert row["saturation/ratio"] == pytest.approx(math.exp(-200), rel=1e-9)
    assert row["saturation/slope_nonsaturating"] == 1
    assert row["saturation/share_rejected"] == 1


@pytest.fixture
def make(tiny, images):
    """Builds a tiny GAN that stands after iteration 3."""

    def make(*words, data=images):
        gan = build_gan(tiny(*words), data)
        gan._trainer = SimpleNamespace(global_step=3)
        for layer in keyed_layers(gan):
            layer.draws = gan.batches.draws
        return gan

    return make


def test_through_any_generator_the_first_is_d_over_1_minus_d_times_the_second(make):
    """For one sample, where nothing is averaged: the gradients are parallel, and their lengths in that ratio."""
    gan = make("batch_size=1")
    both = both_gradients(gan).double()
    noise = gan.generator.draw(1, rng.generator(gan.batches.seed, "saturation", 3))
    d = gan.discriminator(gan.generator(noise)).sigmoid().item()
    assert 0.01 < d < 0.99
    torch.testing.assert_close(both[0], d / (1 - d) * both[1], rtol=1e-5, atol=1e-9)
    row = lengths_and_cosine(both)
    assert row["saturation/cosine"] == pytest.approx(1, abs=1e-6)
    ratio = row["saturation/grad_norm_saturating"] / row["saturation/grad_norm_nonsaturating"]
    assert ratio == pytest.approx(d / (1 - d), rel=1e-5)


@pytest.mark.parametrize("words", [(), ("model.discriminator.dropout=0.5",)])
def test_gradients_are_those_of_the_losses(make, words):
    """Against backward() of each form's loss, on the same noise and the same masks."""
    gan = make(*words)
    for form, gradient in zip(FORMS, both_gradients(gan), strict=True):
        noise = gan.generator.draw(gan.batches.batch_size, rng.generator(gan.batches.seed, "saturation", 3))
        gan.batches.seed_draws(3, "saturation")
        gan.zero_grad()
        form.generator(None, gan.discriminator(gan.generator(noise))).backward()
        expected = torch.cat([p.grad.flatten() for p in gan.generator.parameters()])
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)


class ConditionalGenerator(Generator):
    classes = 3

    def __init__(self):
        super().__init__(3)
        self.net, self.shift = nn.Linear(3, 2), nn.Embedding(3, 2)

    def forward(self, z, y):
        return self.net(z) + self.shift(y)


class ConditionalDiscriminator(Discriminator):
    classes = 3

    def __init__(self):
        super().__init__()
        self.net = nn.Bilinear(2, 3, 1)

    def forward(self, x, y):
        return self.net(x, nn.functional.one_hot(y, 3).float()).squeeze(1)


def test_networks_get_the_labels_that_belong_to_the_noise(make):
    """Gradients are those of the loss with the labels of `draw`, and not with others."""
    gan = make(data=TensorData(torch.rand(12, 2)))
    gan.batches.data = TensorData(torch.rand(12, 2), torch.arange(12) % 3)
    gan.generator, gan.discriminator = ConditionalGenerator(), ConditionalDiscriminator()
    noise, labels = draw(gan)
    assert labels.shape == (4,)
    gradients = []
    for y in (labels, (labels + 1) % 3):
        loss = NonSaturating().generator(None, gan.discriminator(gan.generator(noise, y), y))
        parts = torch.autograd.grad(loss, list(gan.generator.parameters()))
        gradients.append(torch.cat([part.flatten() for part in parts]))
    torch.testing.assert_close(both_gradients(gan)[1], gradients[0])
    assert not torch.allclose(gradients[0], gradients[1])


def test_d_sees_the_samples_augmented(make):
    class Half(Augment):
        def forward(self, x):
            return x / 2

    gan = make("model.discriminator.hidden=[]")
    plain = both_gradients(gan)
    gan.discriminator.net[1].weight.data.mul_(2)
    gan.augment = Half()
    torch.testing.assert_close(both_gradients(gan), plain)


def test_the_next_iteration_has_draws_of_its_own(make):
    """A callback that draws between two iterations leaves no trace: `batches` seeds them anew."""
    gan = make("model.discriminator.dropout=0.5")
    gan.batches(3)
    expected = gan.batches.draws.uniform(torch.empty(4, 2))
    both_gradients(gan)
    gan.batches(3)
    assert torch.equal(gan.batches.draws.uniform(torch.empty(4, 2)), expected)


def test_the_cosine_of_a_right_angle_is_0():
    row = lengths_and_cosine(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    assert list(row.values()) == [3, 4, 0]


NORMED = ("model.generator.norm=batch", "model.discriminator.norm=spectral", "model.discriminator.dropout=0.3")


@pytest.mark.parametrize("words", [(), NORMED, (*NORMED, "loss=saturating", "k=2")])
def test_watching_leaves_training_bit_identical(fit, tiny, images, words):
    """Running statistics, power iterations and dropout masks included."""
    watched, unseen = (build_gan(tiny(*words), images) for _ in range(2))
    fit(*words, gan=watched, callbacks=[Saturation(1, 1)])
    fit(*words, gan=unseen)
    first, second = watched.state_dict(), unseen.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert [p.grad is None for p in watched.discriminator.parameters()] == [
        p.grad is None for p in unseen.discriminator.parameters()
    ]


def test_rows_at_their_rates(fit, tmp_path):
    """Slopes at 1, 2, 4 and 6; gradients at 1, 3 and 6."""
    fit(callbacks=[Saturation(2, 3)], loggers=[RunLogger(tmp_path)])
    logged = rows(tmp_path / "metrics.jsonl")
    assert [row["iteration"] for row in logged if "saturation/ratio" in row] == [1, 2, 4, 6]
    assert [row["iteration"] for row in logged if "saturation/cosine" in row] == [1, 3, 6]


def test_rows_are_json_also_where_a_gradient_is_gone(fit, tiny, images, tmp_path):
    """A D that does not look at its input leaves no gradient: length 0 is logged, an angle there is none."""
    gan = build_gan(tiny("trainer.max_steps=1"), images)
    last = [m for m in gan.discriminator.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
    last.weight.requires_grad_(False)
    fit("trainer.max_steps=1", gan=gan, callbacks=[Saturation(1, 1)], loggers=[RunLogger(tmp_path)])
    (row,) = rows(tmp_path / "metrics.jsonl")
    assert row["saturation/grad_norm_saturating"] == 0
    assert "saturation/cosine" not in row


def test_the_loss_form_is_on_record(fit, tmp_path):
    fit("loss=saturating", callbacks=[Saturation(1, 1)])
    form = json.loads((tmp_path / "loss_form.json").read_text())
    assert form == Saturating().form()
    at = form["logit"].index(0.0)
    assert form["name"] == "Saturating"
    assert form["g"][at] == pytest.approx(-math.log(2))
    assert form["g_slope"][at] == -0.5
    assert (form["logit"][0], form["logit"][-1]) == (-16, 16)


@pytest.mark.parametrize(("loss", "slope"), [(Hinge(), 1.0), (LeastSquares(generator=100.0), 100.0)])
def test_any_form_has_the_slope_of_its_own(fit, tiny, images, tmp_path, loss, slope):
    """Mean |∂L_G/∂b|; the two forms of the paper are compared where a logit is the log-odds, and not here."""
    gan = build_gan(tiny(), images)
    gan.loss = loss
    fit(gan=gan, callbacks=[Saturation(2, 2)], loggers=[RunLogger(tmp_path)])
    for row in rows(tmp_path / "metrics.jsonl"):
        assert row["saturation/slope"] == pytest.approx(slope, rel=0.02)
        assert [key for key in row if key.startswith("saturation/")] == ["saturation/slope"]
    assert json.loads((tmp_path / "loss_form.json").read_text())["log_odds"] is False


def test_a_form_without_functions_of_a_logit_leaves_no_curve(fit, tiny, images, tmp_path):
    class Relativistic(Loss):
        generator_uses_real = True

        def discriminator(self, real, fake):
            return nn.functional.softplus(fake - real).mean()

        def generator(self, real, fake):
            return nn.functional.softplus(real - fake).mean()

    gan = build_gan(tiny(), images)
    gan.loss = Relativistic()
    fit(gan=gan, callbacks=[Saturation(1, 1)], loggers=[RunLogger(tmp_path)])
    assert not (tmp_path / "loss_form.json").exists()
    assert not (tmp_path / "metrics.jsonl").exists(), "its logits are no log-odds: there are no slopes of D"


@pytest.mark.parametrize("key", ["every_n_iterations", "gradient_every_n_iterations"])
def test_user_errors(key):
    with pytest.raises(ValueError, match=rf"callback.saturation.{key}=0 must be at least 1"):
        Saturation(**{"every_n_iterations": 1, "gradient_every_n_iterations": 1, key: 0})


@pytest.mark.parametrize("words", [(), ("model.discriminator.dropout=0.5",)])
def test_each_rank_has_its_rows_of_the_noise_and_of_the_masks(make, words):
    gan = make(*words)
    whole, parts = both_gradients(gan), []
    for rank in (0, 1):
        gan.batches.to(torch.device("cpu"), rank, 2)
        for layer in keyed_layers(gan):
            layer.draws = gan.batches.draws
        parts.append(both_gradients(gan))
    assert not torch.equal(*parts)
    torch.testing.assert_close(sum(parts) / 2, whole)
