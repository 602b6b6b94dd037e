"""Curves for the page: measured values at evenly spaced rows, rounded, and their averages over runs."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden import config
from hypothesis import given
from hypothesis import strategies as st

from ganduel.compare.columns import to_columns
from ganduel.compare.curves import band, downsample, rounded, subsample
from ganduel.compare.interval import mean_interval
from ganduel.compare.reading import Run


@given(st.integers(1, 400), st.integers(2, 60))
def test_every_keeps_the_first_and_the_last(n, most):
    values = np.arange(n) * 7
    subset = subsample(values, most)
    assert len(subset) == min(n, most)
    assert (subset[0], subset[-1]) == (values[0], values[-1])
    assert (np.diff(subset) > 0).all()
    assert np.isin(subset, values).all()
    assert len(subset) < 2 or np.ptp(np.diff(subset)) <= 7, "evenly"


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(-1e6, 1e6)), min_size=1, max_size=60), st.integers(2, 20)
)
def test_what_is_shown_of_a_run_was_measured(steps, points):
    """Dense and seldom, with gaps: every shown value belongs to its iteration, and the last of all is there."""
    rows: list[dict[str, Any]] = [{"iteration": 11 * n, "images_seen": 12345 * n} for n in range(len(steps))]
    for one, (dense, seldom, x) in zip(rows, steps, strict=True):
        one |= ({"a": x} if dense else {}) | ({"b": -x} if seldom else {})
    curves, last = to_columns(rows)
    run = Run(Path("/runs/a"), config(), "finished", curves=curves, last=last)
    short = downsample(run, ["a", "b", "none"], points)
    measured = {key: {r["iteration"]: r[key] for r in rows if key in r} for key in ("a", "b")}
    assert short.keys() <= {"iteration", "images_seen", "a", "b"}
    assert (short["iteration"][0], short["iteration"][-1]) == (0, 11 * (len(rows) - 1))
    assert short["images_seen"] == [12345 * n // 11 for n in short["iteration"]]
    for key in ("a", "b"):
        if not measured[key]:
            continue
        values = short[key]
        at, y = (values["at"], values["y"]) if isinstance(values, dict) else (short["iteration"], values)
        shown = {n: value for n, value in zip(at, y, strict=True) if value is not None}
        assert {min(measured[key]), max(measured[key])} <= shown.keys()
        assert len(at) <= points
        for n, value in shown.items():
            assert value == pytest.approx(measured[key][n], rel=5e-4, abs=1e-290)


@given(st.lists(st.floats() | st.just(math.nan), max_size=8))
def test_listed_keeps_four_digits_or_null(values):
    result = rounded(np.array(values))
    text = json.dumps(result, allow_nan=False)
    assert json.loads(text) == result
    for x, shown in zip(values, result, strict=True):
        if not math.isfinite(x) or abs(x) > 1.79e308:
            assert shown is None or math.isfinite(shown)
        else:
            assert shown == pytest.approx(x, rel=5.1e-4, abs=1e-300)


def test_listed_by_hand():
    assert rounded(np.array([123456.0, -0.00123456, 0.0, 1.0, math.inf])) == [123500.0, -0.001235, 0.0, 1.0, None]


def test_a_band_by_hand():
    """Points 0, 2 and 3 of four have values: of three runs, of two, and of one."""
    nan = math.nan
    curve = band([np.array([1.0, nan, 4.0, 7.0]), np.array([2.0, nan, 8.0, nan]), np.array([6.0, math.inf, nan, nan])])
    assert curve["at"] == [0, 2, 3]
    assert curve["mean"] == [3.0, 6.0, 7.0]
    assert (curve["median"], curve["q25"], curve["q75"]) == ([2.0, 6.0, 7.0], [1.5, 5.0, 7.0], [4.0, 7.0, 7.0])
    low, high = mean_interval(np.array([1.0, 2.0, 6.0]))
    assert curve["low"] == [pytest.approx(float(low), rel=1e-3), None, None]
    assert curve["high"] == [pytest.approx(float(high), rel=1e-3), None, None]
