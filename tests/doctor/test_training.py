"""Each fault is found in rows that have it, with its numbers, and not in rows that just have not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganduel.compare.reading import Run
from ganduel.doctor.training import d_gives_probabilities, d_has_won, g_gradient_is_gone, learning_rate_is_zero

ROWS = 60


def a_run(every: int = 50, loss: str = "nonsaturating.NonSaturating", rows: int = ROWS, **columns: Any) -> Run:
    """A run of rows whose columns are those of a sound one, or given: a function of the row's share of the whole."""
    share = np.linspace(0, 1, rows)
    sound = {
        "d/accuracy_real": 0.8 + 0 * share, "d/accuracy_fake": 0.9 + 0 * share, "loss/d": 1.386 - 0.3 * share,
        "d/fake": 0.4 + 0 * share, "grad/norm_g": 1.0 - 0.8 * share, "lr/d": 1e-3 + 0 * share, "lr/g": 1e-3 + 0 * share,
    }  # fmt: skip
    curves = {key: np.array(columns.get(key, lambda s, v=value: v)(share)) for key, value in sound.items()}
    config = {"loss": {"_target_": f"ganduel.loss.{loss}"}}
    return Run(Path("a"), config, "finished", curves={"iteration": every * np.arange(1.0, rows + 1), **curves})


def after(value: float, before: float, begin: float = 0.5):
    """A column that has another value from this share of the rows on."""
    return lambda share: np.where(share >= begin, value, before)


WON = {
    "d/accuracy_real": after(1.0, 0.8),
    "d/accuracy_fake": after(1.0, 0.9),
    "loss/d": after(0.001, 1.386),
    "d/fake": after(0.0004, 0.4),
}
LOOKS = (d_has_won, g_gradient_is_gone, learning_rate_is_zero)


def test_nothing_is_found_in_a_sound_run():
    assert [look(a_run()) for look in LOOKS] == [[], [], []]


def test_d_has_won_with_its_numbers_and_since_when():
    (finding,) = d_has_won(a_run(**WON))
    evidence = "D is right of 100.0% of the samples, loss/d 0.001 (1.4 at first), D(G(z)) 0.0004, since iteration 1,550"
    assert finding.evidence == evidence
    assert "penalty=[r1]" in finding.advice


@pytest.mark.parametrize(
    "change",
    [
        {"d/accuracy_fake": after(0.95, 0.9)},
        {"loss/d": after(0.1, 1.386)},
        {"d/accuracy_real": lambda share: np.where(share > 0.95, 0.7, 1.0)},
    ],
)
def test_d_has_not_won_while_g_has_a_chance(change):
    assert d_has_won(a_run(**{**WON, **change})) == []


@pytest.mark.parametrize("few", [{"every": 10}, {"every": 500, "rows": 10}])
def test_d_that_is_ahead_in_the_beginning_has_not_won(few):
    """Of 600 iterations, and of 10 rows: in sound runs it was right of all samples by then, and G caught up."""
    gone = {"grad/norm_g": after(0.001, 1.0)}
    assert d_has_won(a_run(**few, **WON)) == g_gradient_is_gone(a_run(**few, **WON, **gone)) == []


@pytest.mark.parametrize(
    ("loss", "advice"),
    [("saturating.Saturating", "loss=nonsaturating"), ("nonsaturating.NonSaturating", "Hold D back")],
)
def test_g_gradient_is_gone(loss, advice):
    (finding,) = g_gradient_is_gone(a_run(loss=loss, **WON, **{"grad/norm_g": after(0.004, 2.0)}))
    assert finding.evidence == "grad/norm_g 0.004, after 2 at iteration 50, since iteration 1,550"
    assert advice in finding.advice


def test_a_short_gradient_at_the_equilibrium_is_no_fault():
    """The gradients of a GAN that has converged vanish, too: D tells nothing apart then."""
    columns = {"grad/norm_g": after(1e-4, 1.0), "d/accuracy_fake": after(0.5, 0.9)}
    assert g_gradient_is_gone(a_run(**columns)) == []


def test_a_learning_rate_that_ends_before_the_run():
    (finding,) = learning_rate_is_zero(a_run(**{"lr/g": after(0.0, 1e-3)}))
    assert (finding.name, finding.evidence) == (
        "learning rate of G at zero",
        "lr/g is 0 since iteration 1,550 of 3,000",
    )


def test_a_learning_rate_of_zero_from_the_start():
    (finding,) = learning_rate_is_zero(a_run(**{"lr/d": lambda share: 0 * share}))
    assert (finding.name, finding.evidence) == ("learning rate of D at zero", "lr/d is 0 since iteration 50 of 3,000")
    assert "optimizer.discriminator.lr" in finding.advice


@pytest.mark.parametrize("schedule", [lambda share: 1 - share, lambda share: 1 + np.cos(np.pi * share)])
def test_a_schedule_that_ends_with_the_run_is_sound(schedule):
    assert learning_rate_is_zero(a_run(**{"lr/g": schedule})) == []


@pytest.mark.parametrize(
    ("bins", "rows", "found"),
    [((16, 23), 5, True), ((15, 23), 5, False), ((16, 24), 5, False), ((16, 23), 4, False), ((31, 0), 9, False)],
)
def test_logits_within_0_and_1(bins, rows, found):
    """D's sigmoids of these are in [0.5, 0.73], which are bins 16 to 23 of 32."""
    counts = np.zeros((rows, 32), dtype=np.uint8)
    counts[:, list(bins)] = 32
    histograms = {"iteration": 50 * np.arange(1, rows + 1), "d/real": counts, "d/fake": counts}
    findings = d_gives_probabilities(Run(Path("a"), {}, histograms=histograms))
    assert [finding.name for finding in findings] == (["D gives probabilities"] if found else [])
    assert d_gives_probabilities(Run(Path("a"), {})) == []
