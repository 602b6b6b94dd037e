"""Each f-divergence against its definition: the conjugate, the best logit, and the divergence that D's best loss is."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from ganduel.errors import UserError
from ganduel.loss.f_divergence import FORMS, FDivergence
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.saturating import Saturating

# f(u) and f′(u) of table 1 of the paper, and the logit for which T = f′(r).
F = {
    "kl": (lambda u: u * np.log(u), lambda u: 1 + np.log(u), lambda r: 1 + np.log(r)),
    "reverse_kl": (lambda u: -np.log(u), lambda u: -1 / u, np.log),
    "pearson": (lambda u: (u - 1) ** 2, lambda u: 2 * (u - 1), lambda r: 2 * (r - 1)),
    "squared_hellinger": (lambda u: (np.sqrt(u) - 1) ** 2, lambda u: 1 - u**-0.5, lambda r: np.log(r) / 2),
    "jensen_shannon": (
        lambda u: u * np.log(u) - (u + 1) * np.log((u + 1) / 2),
        lambda u: np.log(2 * u / (u + 1)),
        np.log,
    ),
}
names = pytest.mark.parametrize("name", FORMS)


def at(function, x):
    return function(torch.tensor(float(x), dtype=torch.float64)).item()


def test_the_table_is_the_papers():
    assert FORMS.keys() == F.keys()


@names
@given(v=st.floats(-3, 3))
def test_the_conjugate_is_the_supremum_of_its_definition(name, v):
    """f*(t) = sup_u (u t − f(u)), at t = T(v), found numerically over log u."""
    f, t = F[name][0], at(FORMS[name].t, v)
    found = minimize_scalar(
        lambda s: f(np.exp(s)) - np.exp(s) * t, bounds=(-12, 12), method="bounded", options={"xatol": 1e-10}
    )
    if name == "pearson" and v < -2:
        return  # the supremum is at u = 0 there, and the paper's f* goes on beyond it
    assert at(FORMS[name].conjugate, v) == pytest.approx(-found.fun, abs=1e-6)


@names
@given(r=st.floats(0.05, 20))
def test_the_best_logit_is_that_of_the_density_ratio(name, r):
    """T = f′(p/q) there, and D's loss on samples of that ratio has no slope."""
    _, derivative, logit = F[name]
    form, v = FDivergence(name), torch.tensor(float(logit(r)), dtype=torch.float64, requires_grad=True)
    assert FORMS[name].t(v).item() == pytest.approx(derivative(r), abs=1e-9)
    (slope,) = torch.autograd.grad(r * form.d_real(v) + form.d_fake(v), v)
    assert slope.item() == pytest.approx(0, abs=1e-6 * max(1, r))


@names
def test_the_best_loss_is_the_divergence_between_two_gaussians(name):
    """−L_D by quadrature, with the best D for N(0, 1) and N(1/2, 1.2²), against ∫ q f(p/q) and closed forms."""
    f, _, logit = F[name]
    p, q = norm(0, 1), norm(0.5, 1.2)
    form = FDivergence(name)

    def integrand(x):
        v = logit(p.pdf(x) / q.pdf(x))
        return -p.pdf(x) * at(form.d_real, v) - q.pdf(x) * at(form.d_fake, v)

    divergence = quad(lambda x: q.pdf(x) * f(p.pdf(x) / q.pdf(x)), -9, 9)[0]
    assert quad(integrand, -9, 9)[0] == pytest.approx(divergence, rel=1e-6)
    s1, s2, d = 1.0, 1.2, 0.5
    closed = {
        "kl": math.log(s2 / s1) + (s1**2 + d**2) / (2 * s2**2) - 0.5,
        "reverse_kl": math.log(s1 / s2) + (s2**2 + d**2) / (2 * s1**2) - 0.5,
        "squared_hellinger": 2
        - 2 * math.sqrt(2 * s1 * s2 / (s1**2 + s2**2)) * math.exp(-(d**2) / (4 * (s1**2 + s2**2))),
    }
    assert divergence == pytest.approx(closed.get(name, divergence), rel=1e-6)


@names
def test_equilibrium_is_zero_at_the_threshold(name):
    form = FDivergence(name)
    logits = torch.full((3,), form.threshold, dtype=torch.float64)
    assert form.threshold == F[name][2](1.0)
    assert form.discriminator(logits, logits).item() == pytest.approx(0, abs=1e-12)


@names
def test_g_lowers_the_conjugate_or_raises_t(name):
    """The slope of the minimax game is that of D's loss with the other sign."""
    b = torch.linspace(-3, 3, 7, dtype=torch.float64)
    torch.testing.assert_close(FDivergence(name).g_fake(b), -FDivergence(name).d_fake(b))
    torch.testing.assert_close(FDivergence(name, nonsaturating=True).g_fake(b), FDivergence(name).d_real(b))


def test_jensen_shannon_is_the_game_of_the_standard_gan():
    """All slopes are those of the saturating and of the non-saturating loss; values differ by log 2."""
    b = torch.linspace(-9, 9, 19, dtype=torch.float64)
    js = FDivergence("jensen_shannon")
    torch.testing.assert_close(js.d_real(b), Saturating().d_real(b) - math.log(2))
    torch.testing.assert_close(js.curve(b)[1], Saturating().curve(b)[1])
    torch.testing.assert_close(
        FDivergence("jensen_shannon", nonsaturating=True).curve(b)[1], NonSaturating().curve(b)[1]
    )
    assert js.log_odds
    assert FDivergence("reverse_kl").log_odds
    assert not FDivergence("kl").log_odds


def test_a_typo_is_answered():
    with pytest.raises(UserError, match=r"loss\.divergence=pearsn is not known\. Did you mean pearson\?"):
        FDivergence("pearsn")
