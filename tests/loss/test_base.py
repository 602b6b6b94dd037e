"""D's loss, which both forms of the paper share, and what a loss form promises to the algorithm."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from ganduel.errors import UserError
from ganduel.loss.base import Loss
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.saturating import Saturating

FORMS = [NonSaturating, Saturating]
numbers = st.floats(-50, 50, width=32)
pairs = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20).map(lambda rows: torch.tensor(rows).unbind(1))


@pytest.mark.parametrize("form", FORMS)
def test_equilibrium_is_two_log_two(form):
    """Where D answers 1/2 to everything."""
    zero = torch.zeros(5, dtype=torch.float64)
    assert form().discriminator(zero, zero).item() == pytest.approx(2 * math.log(2), abs=1e-15)


@given(pairs)
def test_discriminator_agrees_with_binary_cross_entropy(pair):
    """Real → 1 and generated → 0, the two means added and not averaged."""
    real, fake = pair
    reference = binary_cross_entropy_with_logits(real, torch.ones_like(real)) + binary_cross_entropy_with_logits(
        fake, torch.zeros_like(fake)
    )
    for form in FORMS:
        torch.testing.assert_close(form().discriminator(real, fake), reference, rtol=1e-6, atol=1e-6)


@given(a=st.floats(-30, 30), b=st.floats(-30, 30))
def test_discriminator_gradient_by_hand(a, b):
    """∂L_D/∂a = −(1 − D(x)) and ∂L_D/∂b = D(G(z)), divided by the number of samples.

    To e^−20: beyond a logit of 20 torch takes softplus(x) for x.
    """
    real = torch.full((2,), a, dtype=torch.float64, requires_grad=True)
    fake = torch.full((2,), b, dtype=torch.float64, requires_grad=True)
    on_real, on_fake = torch.autograd.grad(NonSaturating().discriminator(real, fake), [real, fake])
    torch.testing.assert_close(on_real, (real.sigmoid() - 1) / 2, rtol=3e-9, atol=1e-14)
    torch.testing.assert_close(on_fake, fake.sigmoid() / 2, rtol=3e-9, atol=1e-14)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.randoms())
def test_best_discriminator_measures_the_jensen_shannon_divergence(counts, random):
    """2 log 2 − 2 JSD(p, q) with a = log p/q, on samples that occur in exactly the shares p and q (section 4.1)."""
    others = random.sample(counts, len(counts))
    on_outcome = torch.tensor(np.log(np.array(counts) / np.array(others)))
    real, fake = (on_outcome.repeat_interleave(torch.tensor(times)) for times in (counts, others))
    p, q = (np.array(times) / sum(times) for times in (counts, others))
    middle = (p + q) / 2
    jsd = (p * np.log(p / middle)).sum() / 2 + (q * np.log(q / middle)).sum() / 2
    assert NonSaturating().discriminator(real, fake).item() == pytest.approx(2 * math.log(2) - 2 * jsd, abs=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits_stay_finite(form, dtype, size):
    """In value and in gradient: neither exp nor log ever sees a logit alone."""
    a = torch.full((3,), size, dtype=dtype, requires_grad=True)
    b = torch.full((3,), -size, dtype=dtype, requires_grad=True)
    for loss in (form().discriminator(a, b), form().generator(None, b)):
        gradients = torch.autograd.grad(loss, [a, b], allow_unused=True)
        assert loss.isfinite()
        assert all(g.isfinite().all() for g in gradients if g is not None)


@pytest.mark.parametrize("form", FORMS)
def test_a_discriminator_that_is_sure_and_wrong_pays_in_full(form):
    """L_D = |a| + |b| far out: no probability has been rounded away or floored by an epsilon."""
    a, b = torch.full((2,), -1e4), torch.full((2,), 300.0)
    assert form().discriminator(a, b).item() == pytest.approx(1e4 + 300, rel=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("term", ["d_real", "d_fake", "g_fake"])
def test_terms_are_elementwise(form, term):
    """On tensors of any shape, so that a figure can draw them; the losses are their means."""
    x = torch.linspace(-3, 3, 12).reshape(3, 4)
    value = getattr(form(), term)(x)
    assert value.shape == (3, 4)
    assert value[1, 2] == getattr(form(), term)(x[1, 2])


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_written_down_on_a_grid(form):
    """In float64, as plain lists: at b = −16 too the slope is −D or −(1 − D) to all digits."""
    written = json.loads(json.dumps(form().form()))
    b = np.array(written["logit"])
    assert (written["name"], b[0], b[-1], len(b)) == (form.__name__, -16, 16, 129)
    sign = 1 if form is Saturating else -1
    assert written["g"] == pytest.approx(-sign * np.log1p(np.exp(sign * b)), rel=1e-12)
    assert written["g_slope"] == pytest.approx(-1 / (1 + np.exp(-sign * b)), rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_generator_needs_no_real_samples(form):
    assert not form.generator_uses_real
    b = torch.tensor([0.3, -2.0, 5.0])
    assert form().generator(None, b) == form().g_fake(b).mean()


class Plain(Loss):
    """A loss whose logits stand for nothing in particular."""

    def discriminator(self, real, fake):
        return fake.mean() - real.mean()

    def generator(self, real, fake):
        return -fake.mean()


def values(row):
    return {key: value.item() for key, value in row.items()}


def test_statistics_of_any_loss_are_mean_and_spread_of_its_logits():
    row = Plain().statistics(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -5.0]))
    assert values(row) == {"logit/real": 2, "logit/real_std": 1, "logit/fake": -3, "logit/fake_std": 2}


def test_accuracy_is_at_the_threshold_and_strict():
    """A logit at the threshold is right neither for a real sample nor for a generated one."""

    class Half(Plain):
        threshold = 0.5

    row = Half().statistics(torch.tensor([0.5, 0.6, 0.7, 0.0]), torch.tensor([0.5, 0.4, 0.6, 0.9]))
    assert (row["d/accuracy_real"], row["d/accuracy_fake"]) == (0.5, 0.25)
    assert "d/real" not in row


@given(pairs)
def test_statistics_of_cross_entropy_add_the_probabilities(pair):
    real, fake = pair
    row = values(NonSaturating().statistics(real, fake))
    for name, logits in (("real", real), ("fake", fake)):
        logits = logits.double().numpy()
        d = 1 / (1 + np.exp(-logits))
        assert row[f"logit/{name}"] == pytest.approx(logits.mean(), rel=1e-4, abs=1e-4)
        assert row[f"logit/{name}_std"] == pytest.approx(logits.std(), rel=1e-4, abs=1e-4)
        assert row[f"d/{name}"] == pytest.approx(d.mean(), abs=1e-5)
        assert row[f"d/{name}_std"] == pytest.approx(d.std(), abs=1e-3)
    assert row["d/accuracy_real"] == pytest.approx((real > 0).double().mean().item())
    assert row["d/accuracy_fake"] == pytest.approx((fake < 0).double().mean().item())


def test_a_spread_of_one_sample_is_0_not_nan():
    row = values(NonSaturating().statistics(torch.ones(1), torch.ones(1)))
    assert {key: value for key, value in row.items() if key.endswith("_std")} == dict.fromkeys(
        ["logit/real_std", "logit/fake_std", "d/real_std", "d/fake_std"], 0.0
    )


@pytest.mark.parametrize("form", FORMS)
def test_logits_of_both_forms_are_log_odds_and_those_of_any_loss_are_not(form):
    logits = torch.tensor([0.0, math.log(3), -math.log(3)])
    row = form().statistics(logits, logits)
    assert row["d/real"].item() == pytest.approx((0.5 + 0.75 + 0.25) / 3)
    assert (form.threshold, form.log_odds, form().form()["log_odds"]) == (0, True, True)
    assert (Plain.threshold, Plain.log_odds) == (None, False)


@pytest.mark.parametrize("form", FORMS)
@given(a=st.floats(-30, 30), target=st.floats(0.6, 1))
def test_smoothed_labels_are_cross_entropy_with_that_target(form, a, target):
    """One-sided: real samples go to the target, generated ones to 0 as before."""
    logits, one = torch.tensor([a], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    smoothed = form(real_target=target)
    expected = binary_cross_entropy_with_logits(logits, target * one)
    torch.testing.assert_close(smoothed.d_real(logits).mean(), expected, rtol=1e-8, atol=1e-10)
    assert smoothed.d_fake(logits) == form().d_fake(logits)
    assert smoothed.g_fake(logits) == form().g_fake(logits)


def test_the_best_discriminator_with_smoothed_labels_stays_below_one():
    """α p/(p + p_g): 0.9 where nothing is generated, where the slope of D's loss is 0."""
    a = torch.tensor(0.9, dtype=torch.float64).logit().requires_grad_()
    assert torch.autograd.grad(NonSaturating(0.9).d_real(a), a)[0].item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("target", [0.5, 1.1, float("nan")])
def test_a_target_that_is_none_is_refused(target):
    with pytest.raises(UserError, match=r"loss\.real_target=.* must be above 0\.5 and at most 1"):
        Saturating(target)
