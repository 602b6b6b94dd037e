"""Slopes and gradients of both loss forms: each against its closed form, and that watching them changes nothing."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganduel.build import build_gan
from ganduel.callback.base import Peers, networks
from ganduel.callback.saturation import Saturation, draw, gradients, lengths, named, slopes
from ganduel.loss.base import Loss
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.saturating import Saturating
from ganduel.population.network import StackedNetwork
from ganduel.tracking.files import rows
from ganduel.tracking.run_logger import RunLogger

FORMS = (Saturating(), NonSaturating())


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=20))
def test_slopes_are_those_of_the_losses(values):
    """Per sample ∂L_G/∂b is −D for the saturating form and −(1 − D) for the other."""
    b = torch.tensor(values, dtype=torch.float64)
    (row,) = slopes(b[None])
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
    (row,) = slopes(b[None])
    assert row["saturation/slope_saturating"] == pytest.approx((1 + 1 / 201) / 3, rel=1e-6)
    assert row["saturation/slope_nonsaturating"] == pytest.approx((1 + 200 / 201) / 3, rel=1e-6)
    assert row["saturation/ratio"] == pytest.approx((1 + 1 / 201) / (1 + 200 / 201), rel=1e-6)
    assert row["saturation/share_rejected"] == pytest.approx(1 / 3)
    assert row["saturation/slope_saturating_q50"] == pytest.approx(0.25, rel=1e-6)


def test_saturation_is_seen_where_float32_has_rounded_d_to_0():
    """The ratio at b = −200 is e^−200, and the slope of the non-saturating form is 1."""
    (row,) = slopes(torch.full((1, 3), -200.0))
    assert row["saturation/ratio"] == pytest.approx(math.exp(-200), rel=1e-9)
    assert row["saturation/slope_nonsaturating"] == 1
    assert row["saturation/share_rejected"] == 1


@pytest.fixture
def gan(tiny, images):
    def make(*words):
        found = build_gan(tiny(*words), images)
        found._trainer, found.steps = SimpleNamespace(), SimpleNamespace(total=SimpleNamespace(completed=3))
        return found

    return make


def gradients_of(duels):
    """Of each duel, on the noise of its own."""
    generator, discriminator = networks(duels)
    return gradients(draw(duels, next(generator.parameters())), generator, discriminator)


def test_through_any_generator_the_first_is_d_over_1_minus_d_times_the_second(gan):
    """For one sample, where nothing is averaged: the gradients are parallel, and their lengths in that ratio."""
    duel = gan("batch_size=1")
    (both,) = gradients_of([duel]).double()
    from ganduel import rng

    stream = rng.generator(duel.seed, "saturation", duel.global_step)
    d = duel.discriminator(duel.generator(duel.generator.draw(1, stream))).sigmoid().item()
    assert 0.01 < d < 0.99
    torch.testing.assert_close(both[0], d / (1 - d) * both[1], rtol=1e-5, atol=1e-9)
    (row,) = named(lengths(both[None]))
    assert row["saturation/cosine"] == pytest.approx(1, abs=1e-6)
    ratio = row["saturation/grad_norm_saturating"] / row["saturation/grad_norm_nonsaturating"]
    assert ratio == pytest.approx(d / (1 - d), rel=1e-5)


@pytest.mark.parametrize("words", [(), ("model.discriminator.dropout=0.5",)])
def test_gradients_are_those_of_the_losses(gan, words):
    """Against backward() of each form's loss, on the same noise and the same masks."""
    from ganduel import rng

    duel = gan(*words)
    (both,) = gradients_of([duel])
    for form, found in zip(FORMS, both, strict=True):
        noise = duel.generator.draw(duel.batch_size, rng.generator(duel.seed, "saturation", 3))
        for name, layer in duel.reseeded.items():
            layer.reseed((duel.seed, "saturation", name, 3), duel.batch_size, slice(None))
        duel.zero_grad()
        form.generator(None, duel.discriminator(duel.generator(noise))).backward()
        expected = torch.cat([p.grad.flatten() for p in duel.generator.parameters()])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_the_cosine_of_a_right_angle_is_0():
    (row,) = named(lengths(torch.tensor([[[3.0, 0.0], [0.0, 4.0]]])))
    assert list(row.values()) == [3, 4, 0]


NORMED = ("model.generator.norm=batch", "model.discriminator.norm=spectral", "model.discriminator.dropout=0.3")


@pytest.mark.parametrize("words", [(), NORMED, (*NORMED, "loss=saturating", "k=2")])
def test_watching_leaves_training_bit_identical(fit, tiny, images, words):
    """Running statistics, power iterations and dropout masks included."""
    watched, unseen = (build_gan(tiny(*words), images) for _ in range(2))
    fit(*words, gan=watched, callbacks=[Saturation(every=1, gradient_every=1)])
    fit(*words, gan=unseen)
    first, second = watched.state_dict(), unseen.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert [p.grad is None for p in watched.discriminator.parameters()] == [
        p.grad is None for p in unseen.discriminator.parameters()
    ]


def test_rows_at_their_rates(fit, tmp_path):
    """Slopes at 1, 2, 4 and 6; gradients at 1, 3 and 6."""
    fit(callbacks=[Saturation(every=2, gradient_every=3)], loggers=[RunLogger(tmp_path)])
    found = rows(tmp_path / "metrics.jsonl")
    assert [row["iteration"] for row in found if "saturation/ratio" in row] == [1, 2, 4, 6]
    assert [row["iteration"] for row in found if "saturation/cosine" in row] == [1, 3, 6]


def test_rows_are_json_also_where_a_gradient_is_gone(fit, tiny, images, tmp_path):
    """A D that does not look at its input leaves no gradient: length 0 is told, an angle there is none."""
    duel = build_gan(tiny("trainer.max_steps=1"), images)
    last = [m for m in duel.discriminator.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
    last.weight.requires_grad_(False)
    fit("trainer.max_steps=1", gan=duel, callbacks=[Saturation(1, 1)], loggers=[RunLogger(tmp_path)])
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


def test_a_form_without_functions_of_a_logit_leaves_no_curve(fit, tiny, images, tmp_path):
    class Relativistic(Loss):
        generator_uses_real = True

        def discriminator(self, real, fake):
            return nn.functional.softplus(fake - real).mean()

        def generator(self, real, fake):
            return nn.functional.softplus(real - fake).mean()

    duel = build_gan(tiny(), images)
    duel.loss = Relativistic()
    fit(gan=duel, callbacks=[Saturation(1, 1)])
    assert not (tmp_path / "loss_form.json").exists()


@pytest.mark.parametrize("key", ["every", "gradient_every"])
def test_user_errors(key):
    with pytest.raises(ValueError, match=rf"callback.saturation.{key}=0 must be at least 1"):
        Saturation(**{"every": 1, "gradient_every": 1, key: 0})


def test_gradients_of_several_are_those_of_each(gan):
    """With the masks and the noise of each."""
    duels = [gan(f"seed={seed}", "model.discriminator.dropout=0.5") for seed in (1, 2)]
    alone = [gradients_of([duel])[0] for duel in duels]
    for duel, expected in zip(duels, alone, strict=True):
        torch.testing.assert_close(gradients_of([duel])[0], expected)
    nets = tuple(StackedNetwork([getattr(d, n) for d in duels], False) for n in ("generator", "discriminator"))
    for duel in duels:
        duel.peers = Peers({}, duels, nets)
    torch.testing.assert_close(gradients_of(duels), torch.stack(alone))


def test_each_rank_has_its_share_of_the_noise(gan):
    duel = gan()
    whole, half = gradients_of([duel]), duel.batch_size // 2
    parts = []
    for duel.share in (slice(0, half), slice(half, 2 * half)):
        parts.append(gradients_of([duel]))
    assert not torch.equal(*parts)
    torch.testing.assert_close(sum(parts) / 2, whole)
