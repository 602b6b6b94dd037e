"""What is refused, in one line that names the set; and what comes back."""

import math

import pytest
import torch

from ganduel.errors import UserError
from ganduel.metric.functional.check import checked
from ganduel.metric.functional.frechet import frechet_distance
from ganduel.metric.functional.kernel import kernel_distance
from ganduel.metric.functional.modes import mode_coverage
from ganduel.metric.functional.neighbours import density_coverage, precision_recall
from ganduel.metric.functional.parzen import parzen_log_likelihood

GOOD = torch.arange(24.0).reshape(8, 3)
BROKEN = GOOD.clone()
BROKEN[2, 1], BROKEN[5, 0], BROKEN[5, 1] = math.nan, math.inf, -math.inf
METRICS = {
    "frechet": frechet_distance,
    "kernel": kernel_distance,
    "neighbours": precision_recall,
    "density": density_coverage,
    "modes": lambda x, y: mode_coverage(x, y, 1.0),
    "parzen": lambda x, y: parzen_log_likelihood(x, y, 1.0),
}


def test_good_sets_come_back_in_order_and_in_float64():
    first, second = checked(8, first=GOOD, second=GOOD.half() + 1)
    assert first.dtype == second.dtype == torch.float64
    assert (second - first == 1).all()


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ({"real": GOOD, "fake": GOOD[:1]}, "Too few samples in fake: 1, where the metric needs 2 or more. Draw more."),
        ({"real": GOOD, "fake": GOOD[:, :2]}, r"real has 3, fake has 2"),
        ({"real": GOOD, "fake": BROKEN}, "fake holds NaN or infinite numbers, in 2 of its 8 samples"),
        ({"real": GOOD.reshape(2, 2, 2, 3)}, r"real has the shape \(2, 2, 2, 3\).*real.flatten\(1\)"),
        ({"real": GOOD[0]}, r"real has the shape \(3,\)"),
        ({"real": GOOD[:, :0]}, r"real has the shape \(8, 0\)"),
    ],
)
def test_a_refusal_names_the_set(sets, words):
    with pytest.raises(UserError, match=words) as refused:
        checked(2, **sets)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
@pytest.mark.parametrize("bad", [GOOD[:, :2], BROKEN, GOOD[:0]], ids=["width", "nan", "empty"])
def test_each_metric_asks_of_both_sets(metric, bad):
    metric(GOOD, GOOD)
    for pair in ((GOOD, bad), (bad, GOOD)):
        with pytest.raises(UserError):
            metric(*pair)


@pytest.mark.parametrize("metric", [frechet_distance, kernel_distance])
def test_a_spread_needs_two_samples(metric):
    metric(GOOD[:2], GOOD[:2])
    for pair in ((GOOD[:1], GOOD), (GOOD, GOOD[:1])):
        with pytest.raises(UserError, match="needs 2 or more"):
            metric(*pair)
