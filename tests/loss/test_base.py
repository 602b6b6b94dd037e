"""D's loss, which both forms of the paper share, and what a loss form promises to the algorithm."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

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
    found = json.loads(json.dumps(form().form()))
    b = np.array(found["logit"])
    assert (found["name"], b[0], b[-1], len(b)) == (form.__name__, -16, 16, 129)
    sign = 1 if form is Saturating else -1
    assert found["g"] == pytest.approx(-sign * np.log1p(np.exp(sign * b)), rel=1e-12)
    assert found["g_slope"] == pytest.approx(-1 / (1 + np.exp(-sign * b)), rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_generator_needs_no_real_samples(form):
    assert not form.generator_uses_real
    b = torch.tensor([0.3, -2.0, 5.0])
    assert form().generator(None, b) == form().g_fake(b).mean()
