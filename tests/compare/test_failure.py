"""Each rule finds the run that it is for, and none finds a healthy one."""

import math
from pathlib import Path
from typing import Any

import pytest
from golden import FD, RECALL, config, make_run, row
from hypothesis import given
from hypothesis import strategies as st

from ganduel.compare.columns import to_columns
from ganduel.compare.failure import failure
from ganduel.compare.reading import Run, read

MODES, COVERAGE, QUALITY = "modes/points_2k", "coverage/mnist_cnn_10k", "high_quality/points_2k"


def a_run(rows: list[dict[str, Any]], metrics: dict[str, float] | None = None, status: str = "finished") -> Run:
    """A run of these rows; metrics are on record in the last."""
    curves, last = to_columns([*rows, {"iteration": rows[-1]["iteration"], **(metrics or {})}])
    protocols = {key: {"hash": "a"} for key in metrics or {} if not key.endswith("/floor")}
    return Run(Path("a"), config(), status, curves=curves, last=last, protocols=protocols)


def healthy(n: int = 20) -> list[dict[str, Any]]:
    return [row(50 * m + 1, 0.3) for m in range(n)]


def won(right: float = 1.0, norm: float = 0.009, share: float = 0.1, n: int = 20) -> list[dict[str, Any]]:
    """G's gradient of norm 1 in all rows but the last ones; in these D is right of a share of the samples."""
    late = {"d/accuracy_real": 1.0, "d/accuracy_fake": 2 * right - 1, "grad/norm_g": norm}
    early = {"grad/norm_g": 1.0}
    return [{**one, **(late if m >= n - share * n else early)} for m, one in enumerate(healthy(n))]


def test_a_healthy_run_has_not_failed(tmp_path):
    for loss in ("saturating", "nonsaturating"):
        run = read(make_run(tmp_path / loss, loss))
        assert isinstance(run, Run)
        assert failure(run) is None
    assert failure(a_run(healthy(), {FD: 1e6, f"{FD}/floor": 2.0})) is None


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_what_ended_badly_has_failed(status):
    run = a_run(healthy(), status=status)
    assert failure(run) == status
    assert failure(Run(run.folder, run.config, status, reason="no room")) == f"{status}: no room"


@pytest.mark.parametrize("rows", [healthy(), won(), [*healthy(), {"iteration": 9999, "loss/d": math.nan}]])
def test_a_run_that_goes_on_has_not_failed_yet(rows):
    assert failure(a_run(rows, {RECALL: 0.0, f"{RECALL}/floor": 0.9}, status="unfinished")) is None


@pytest.mark.parametrize("key", ["loss/d", "loss/g"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_ends_as_no_number(key, value):
    rows = healthy()
    rows[-1][key] = value
    assert failure(a_run(rows)) == f"{key} is not a number"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_was_no_number_for_a_while(value):
    """The rule is on how it ends."""
    rows = healthy()
    rows[3]["loss/d"] = value
    assert failure(a_run(rows)) is None


def test_a_loss_that_is_missing_from_the_last_row_is_no_nan():
    """The row of an evaluation has none."""
    assert failure(a_run([*healthy(), {"iteration": 9999, FD: 3.0}])) is None


def test_other_quantities_may_be_no_number():
    rows = healthy()
    rows[-1] |= {"saturation/ratio": math.inf, "grad/norm_d": math.nan, FD: math.nan}
    assert failure(a_run(rows)) is None


def test_d_has_won():
    assert failure(a_run(won())) == "D has won: it is always right, and G's gradient is gone"


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"right": 0.9991}, True), ({"right": 0.9989}, False), ({"norm": 0.0099}, True), ({"norm": 0.0101}, False),
        ({"norm": 0.0}, True), ({"share": 0.5}, True), ({"share": 0.05}, False),
        ({"share": 1.0}, False),  # D may be strong from the first row on if G's gradient is as long as ever
    ],
)  # fmt: skip
def test_d_has_won_by_the_stated_limits(change, failed):
    """Over the last tenth: 99.9% right, and a gradient of at most 1% of its longest; either alone is no failure."""
    assert (failure(a_run(won(**change))) is not None) == failed


def test_d_has_not_won_on_one_side_alone():
    """Always right of real samples and half the time of generated ones."""
    rows = [{**one, "d/accuracy_real": 1.0, "d/accuracy_fake": 0.5} for one in won()]
    assert failure(a_run(rows)) is None


def test_a_run_without_these_quantities_has_not_lost_by_them():
    for key in ("d/accuracy_real", "d/accuracy_fake", "grad/norm_g", "loss/d", "loss/g"):
        rows = [{name: value for name, value in one.items() if name != key} for one in won()]
        reason = failure(a_run(rows))
        assert (reason is None) == (not key.startswith("loss")), key
        rows = [{**one, key: math.nan} for one in won()]
        assert (failure(a_run(rows)) is None) == (not key.startswith("loss")), key


def test_values_that_are_no_numbers_are_left_out_of_the_last_tenth():
    rows = won(n=40)
    rows[-1]["grad/norm_g"] = math.inf
    rows[-2]["d/accuracy_fake"] = math.nan
    assert str(failure(a_run(rows))).startswith("D has won")


@pytest.mark.parametrize(
    ("metric", "value", "floor", "failed"),
    [
        (MODES, 3.9, 8.0, True), (MODES, 4.0, 8.0, False), (RECALL, 0.089, 0.9, True), (RECALL, 0.091, 0.9, False),
        (COVERAGE, 0.0, 0.95, True), (COVERAGE, 0.2, 0.95, False), (RECALL, math.nan, 0.9, False),
        (RECALL, 0.0, math.nan, False), (QUALITY, 0.0, 0.99, False), (FD, 0.0, 2.0, False),
        ("precision/mnist_cnn_10k", 0.0, 0.9, False), ("modest/x", 0.0, 1.0, False),
    ],
)  # fmt: skip
def test_lost_modes(metric, value, floor, failed):
    """Of known modes below half of the floor; recall and coverage below a tenth of it; other metrics have no rule."""
    reason = failure(a_run(healthy(), {metric: value, f"{metric}/floor": floor}))
    expected = f"modes are lost: {metric} is {value:.3g}, where real samples have {floor:.3g}"
    assert reason == (expected if failed else None)


def test_without_a_floor_no_modes_are_lost():
    assert failure(a_run(healthy(), {RECALL: 0.0})) is None


@given(st.floats(0.02, 0.98), st.floats(0, 0.998), st.floats(0.011, 1), st.integers(1, 40))
def test_no_run_fails_within_the_limits(fake, right, norm, n):
    """D right of less than 99.9%, G's gradient never below 1.1% of its longest: whatever the losses."""
    rows = [{**row(m + 1, fake), "d/accuracy_real": right, "d/accuracy_fake": right} for m in range(n)]
    for one in rows[1:]:
        one["grad/norm_g"] = norm * rows[0]["grad/norm_g"]
    assert failure(a_run(rows, {RECALL: 0.1, f"{RECALL}/floor": 0.9})) is None
