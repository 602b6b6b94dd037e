"""Cross-entropy on D̃(x) = sigmoid(D(x) − E[D(G(z))]) and its mirror image, for both players."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from ganduel.loss.relativistic_average import RelativisticAverage

pairs = st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=1, max_size=9).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64).unbind(1)
)


@given(pairs)
def test_agrees_with_binary_cross_entropy(pair):
    """As in the paper's equations: targets 1 and 0 for D, 0 and 1 for G."""
    real, fake = pair
    one, zero = torch.ones_like(real), torch.zeros_like(real)
    of_real, of_fake = real - fake.mean(), fake - real.mean()
    torch.testing.assert_close(
        RelativisticAverage().discriminator(real, fake), cross_entropy(of_real, one) + cross_entropy(of_fake, zero)
    )
    torch.testing.assert_close(
        RelativisticAverage().generator(real, fake), cross_entropy(of_real, zero) + cross_entropy(of_fake, one)
    )


def test_equilibrium_is_two_log_two_for_both():
    logits = torch.full((3,), -2.0)
    assert RelativisticAverage().discriminator(logits, logits).item() == pytest.approx(2 * math.log(2))
    assert RelativisticAverage().generator(logits, logits).item() == pytest.approx(2 * math.log(2))


def test_a_sample_learns_through_the_mean_too():
    """By finite differences: the mean over generated samples is no constant."""
    real, fake = torch.tensor([0.3, -1.0, 2.0]).double(), torch.tensor([1.0, 0.5, -0.7]).double()
    fake.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: RelativisticAverage().generator(real, x), fake)
    assert torch.autograd.gradcheck(lambda x: RelativisticAverage().discriminator(real, x), fake)


def test_statistics_ask_on_which_side_of_the_other_mean_a_sample_is():
    row = RelativisticAverage().statistics(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0]))
    assert (row["d/accuracy_real"], row["d/accuracy_fake"]) == (0.5, 0.5)
