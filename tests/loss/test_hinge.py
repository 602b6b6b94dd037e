"""L_D = E[max(0, 1 − a)] + E[max(0, 1 + b)], L_G = −E[b]: values, slopes, the best D and the total variation."""

import pytest
import torch

from ganduel.loss.hinge import Hinge


def test_values_by_hand():
    """Inside, on and beyond the margin: (0.5 + 0 + 0 + 3)/4 + (0 + 0 + 1.5 + 3)/4."""
    real, fake = torch.tensor([0.5, 1.0, 4.0, -2.0]), torch.tensor([-3.0, -1.0, 0.5, 2.0])
    assert Hinge().discriminator(real, fake).item() == pytest.approx(3.5 / 4 + 4.5 / 4)
    assert Hinge().generator(None, fake).item() == pytest.approx(1.5 / 4)


@pytest.mark.parametrize("c", [-1.0, -0.3, 0.0, 1.0])
def test_equilibrium_is_two_for_any_constant_within_the_margin(c):
    logits = torch.full((3,), c)
    assert Hinge().discriminator(logits, logits).item() == pytest.approx(2)
    assert Hinge().generator(None, logits).item() == pytest.approx(-c)


def test_the_best_discriminator_is_a_sign_and_measures_the_total_variation():
    """2 − 2 TV, and no other output does better: on a grid of them, for each outcome of two densities."""
    p, q = torch.tensor([0.1, 0.6, 0.3]), torch.tensor([0.5, 0.2, 0.3])
    outputs = torch.linspace(-3, 3, 601)
    loss = p[:, None] * Hinge().d_real(outputs) + q[:, None] * Hinge().d_fake(outputs)
    best = p * Hinge().d_real((p - q).sign()) + q * Hinge().d_fake((p - q).sign())
    torch.testing.assert_close(best, loss.min(1).values)
    assert best.sum().item() == pytest.approx(2 - (p - q).abs().sum().item())


def test_slopes():
    """G's is −1 everywhere; D learns nothing from samples beyond the margin."""
    _, slope = Hinge().curve(torch.tensor([-30.0, 0.0, 5.0]))
    assert slope.tolist() == [-1, -1, -1]
    a = torch.tensor([0.9, 1.1], requires_grad=True)
    assert torch.autograd.grad(Hinge().d_real(a).sum(), a)[0].tolist() == [-1, 0]


def test_statistics_have_the_shares_beyond_the_margin():
    row = Hinge().statistics(torch.tensor([1.0, 0.9, 2.0, -1.0]), torch.tensor([-1.0, 0.0, 1.0, -0.9]))
    assert (row["hinge/margin_real"], row["hinge/margin_fake"]) == (0.5, 0.25)
    assert (row["d/accuracy_real"], row["d/accuracy_fake"]) == (0.75, 0.5)
    assert "d/real" not in row
