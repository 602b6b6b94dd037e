"""Where a quantity has bounds they are those of its protocol, or of its key."""

import math
from pathlib import Path

import pytest
from golden import config

from ganduel.compare.bounds import bounds_of
from ganduel.compare.interval import UNBOUNDED
from ganduel.compare.reading import Run


def a_run(range_on_record: object) -> Run:
    return Run(Path("a"), config(), protocols={"modes/points_2500": {"hash": "a", "range": range_on_record}})


@pytest.mark.parametrize(
    ("recorded", "bounds"),
    [
        ([0, 8], (0.0, 8.0)), ([0.5, None], (0.5, math.inf)), ([None, None], (-math.inf, math.inf)),
        (None, (0.0, math.inf)), ([0], (0.0, math.inf)), (["0", 1], (0.0, math.inf)), ([math.nan, 1], (0.0, math.inf)),
    ],
)  # fmt: skip
def test_what_is_on_record_counts_if_it_is_a_range(recorded, bounds):
    assert bounds_of("modes/points_2500", [a_run("no"), a_run(recorded)]) == bounds


@pytest.mark.parametrize(
    ("key", "bounds"),
    [
        ("fd/mnist_cnn_10k", (0.0, math.inf)), ("recall/points_10k", (0.0, 1.0)), ("kd/points_10k", UNBOUNDED),
        ("d/fake", (0.0, 1.0)), ("saturation/slope_saturating_q05", (0.0, 1.0)), ("saturation/cosine", (-1.0, 1.0)),
        ("saturation/ratio", (0.0, math.inf)), ("grad/norm_g", (0.0, math.inf)), ("loss/g", UNBOUNDED),
    ],
)  # fmt: skip
def test_keys_without_a_range_on_record(key, bounds):
    """Statistics of training, and metrics of runs of older versions."""
    assert bounds_of(key, [Run(Path("a"), config())]) == bounds
