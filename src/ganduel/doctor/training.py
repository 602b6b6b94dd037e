"""What the rows of training say: whether D has won, whether anything still moves G, whether D gives logits.

    D has won               over the last tenth of the rows D is right of 99% of the samples, and its loss is at most 5%
                            of that of the first row
    G's gradient is gone    over the last tenth its norm is at most 1% of its longest, while D rejects what G makes
    D gives probabilities   D(x) and D(G(z)) are within [1/2, 3/4] in all rows: those of logits within [0, 1] are
    learning rate at zero   at most 10⁻⁶ of its highest, for the last tenth of the iterations or more

In the first thousand iterations D is often far ahead, and G catches up: they say nothing of the first two.
"""

import numpy as np

from ganduel.compare.failure import VANISHED_GRADIENT, late
from ganduel.compare.pairing import lookup
from ganduel.compare.reading import Run
from ganduel.doctor.base import Finding, rows_with, since

ROWS, ITERATIONS = 20, 1000  # at least
WON, WINNING = 0.99, 0.95  # D's accuracy over the last tenth, and in each row since it has won
WON_LOSS = 0.05  # of the first row's
REJECTING = 0.9  # D's accuracy on generated samples, above which G is far from its aim
FIRST_ROWS, FIRST_ITERATIONS = 5, 100  # before logits within [0, 1] are no chance, as of callback.statistics
ZERO_RATE, ZERO_SHARE = 1e-6, 0.1

NETWORKS = {"d": "discriminator", "g": "generator"}
HOLD_BACK = "Hold D back: penalty=[r1], augment=diffaugment, or a lower optimizer.discriminator.lr."


def late_rows(run: Run, *keys: str) -> tuple[np.ndarray, ...]:
    """As `rows_with`, of a run that has come far enough to judge it; empty before."""
    columns = rows_with(run, *keys)
    far = len(columns[0]) >= ROWS and columns[0][-1] >= ITERATIONS
    return columns if far else tuple(column[:0] for column in columns)


def d_has_won(run: Run) -> list[Finding]:
    """D tells all samples apart: it has little more to learn, and G learns little from it."""
    iterations, real, fake, loss = late_rows(run, "d/accuracy_real", "d/accuracy_fake", "loss/d")
    right = (real + fake) / 2
    if not len(right) or late(right) < WON or late(loss) > WON_LOSS * abs(loss[0]):
        return []
    evidence = f"D is right of {late(right):.1%} of the samples, loss/d {late(loss):.2g} ({loss[0]:.2g} at first)"
    if len(probabilities := rows_with(run, "d/fake")[1]):
        evidence += f", D(G(z)) {late(probabilities):.2g}"
    return [Finding("D has won", evidence + beginning(iterations, right >= WINNING), HOLD_BACK)]


def beginning(iterations: np.ndarray, wrong: np.ndarray) -> str:
    """Since when, for the end of a sentence."""
    began = since(iterations, wrong)
    return "" if began is None else f", since iteration {began:,}"


def g_gradient_is_gone(run: Run) -> list[Finding]:
    """Nothing moves G any more, though it is far from its aim."""
    iterations, norm, fake = late_rows(run, "grad/norm_g", "d/accuracy_fake")
    if not len(norm) or late(norm) > (limit := VANISHED_GRADIENT * norm.max()) or late(fake) < REJECTING:
        return []
    longest = f"{norm.max():.2g} at iteration {int(iterations[norm.argmax()]):,}"
    evidence = f"grad/norm_g {late(norm):.2g}, after {longest}" + beginning(iterations, norm <= limit)
    saturates = str(lookup(run.config, "loss._target_")).endswith(".Saturating")
    advice = "Try loss=nonsaturating: its gradient does not vanish where D is sure." if saturates else HOLD_BACK
    return [Finding("G's gradient is gone", evidence, advice)]


def d_gives_probabilities(run: Run) -> list[Finding]:
    """A sigmoid at the end of D, of which the loss takes the sigmoid again."""
    histograms = [run.histograms[key] for key in ("d/real", "d/fake") if key in run.histograms]
    iterations = run.histograms.get("iteration", np.empty(0))
    if len(histograms) < 2 or len(iterations) < FIRST_ROWS or iterations[-1] < FIRST_ITERATIONS:
        return []
    if not all(map(within_1_2_and_3_4, histograms)):
        return []
    evidence = f"all logits of all {len(iterations)} rows up to iteration {iterations[-1]:,} are within [0, 1]"
    return [Finding("D gives probabilities", evidence, "D ends in a sigmoid: return what goes into it.")]


def within_1_2_and_3_4(counts: np.ndarray) -> bool:
    """Whether histograms over [0, 1], (rows, bins), are empty outside [1/2, 3/4)."""
    n = counts.shape[1]
    return not (counts[:, : n // 2].any() or counts[:, 3 * n // 4 :].any())


def learning_rate_is_zero(run: Run) -> list[Finding]:
    """A schedule that has ended before the run, or a rate that was 0 from the start."""
    findings = []
    for letter, network in NETWORKS.items():
        iterations, rate = rows_with(run, f"lr/{letter}")
        began = since(iterations, rate <= ZERO_RATE * rate.max()) if len(rate) else None
        if began is not None and run.iteration - began >= ZERO_SHARE * run.iteration:
            evidence = f"lr/{letter} is {rate[-1]:.2g} since iteration {began:,} of {run.iteration:,}"
            advice = f"Try schedule=constant, or another optimizer.{network}.lr."
            findings.append(Finding(f"learning rate of {letter.upper()} at zero", evidence, advice))
    return findings
