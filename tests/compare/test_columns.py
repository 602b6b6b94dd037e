"""Rows as columns: in order, of one length, and only of numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganduel.compare.columns import to_columns


def test_rows_out_of_order_become_columns_in_order():
    columns = to_columns([{"iteration": n, "a": 10.0 * n} for n in (50, 1, 100)])[0]
    assert columns["iteration"].tolist() == [1, 50, 100]
    assert columns["a"].tolist() == [10, 500, 1000]


def test_of_rows_made_again_after_a_resume_the_later_counts():
    """Some programs append what a resume makes again; all rows of an iteration are one."""
    rows = [{"iteration": 1, "a": 1.0}, {"iteration": 2, "a": 2.0}, {"iteration": 1, "a": 5.0, "b": 6.0}]
    columns, last = to_columns(rows)
    assert columns["iteration"].tolist() == [1, 2]
    assert columns["a"].tolist() == [5, 2]
    assert columns["b"] == pytest.approx([6, math.nan], nan_ok=True)
    assert last == {"iteration": 2, "a": 2.0, "b": 6.0}


@pytest.mark.parametrize("others", [{}, {"c": "text"}])
def test_null_is_a_number_that_is_none(others):
    """A loss that became NaN is the last value: the finite one before it would hide that the run has failed."""
    columns, last = to_columns([{"iteration": 1, "a": 1.5, **others}, {"iteration": 2, "a": None, **others}])
    assert columns["a"] == pytest.approx([1.5, math.nan], nan_ok=True)
    assert math.isnan(last["a"])


@pytest.mark.parametrize("value", [True, "1.5", [1.5], {"a": 1.5}, 10**400])
def test_what_is_no_number_is_no_value(value):
    columns, last = to_columns([{"iteration": 1, "a": 1.5, "b": value}, {"iteration": 2, "a": value}])
    assert columns["a"] == pytest.approx([1.5, math.nan], nan_ok=True)
    assert "b" not in columns
    assert last == {"iteration": 2, "a": 1.5}


@pytest.mark.parametrize("value", [None, True, "2", [2], {"a": 2}, math.nan, math.inf, -1, 1e300])
def test_a_row_without_the_number_of_an_iteration_is_no_row(value):
    """True is 1 to Python, and no iteration."""
    columns, last = to_columns([{"iteration": 1, "a": 1.5}, {"iteration": value, "a": 9.0}, {"a": 9.0}])
    assert columns["iteration"].tolist() == [1]
    assert columns["a"].tolist() == [1.5]
    assert last["a"] == 1.5


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["iteration", "a", "b"]), st.one_of(st.integers(0, 3), st.floats(), st.none()))
    )
)
def test_columns_are_of_one_length_and_hold_what_was_logged(rows):
    columns, last = to_columns(rows)
    n = len(columns["iteration"])
    assert (np.diff(columns["iteration"]) > 0).all()
    assert all(values.shape == (n,) and values.dtype == np.float64 for values in columns.values())
    logged = {value for row in rows for value in row.values() if value is not None}
    assert all(value in logged for values in columns.values() for value in values[~np.isnan(values)].tolist())
    for key, value in last.items():
        assert math.isnan(value) or value in columns[key]


def test_the_penalty_of_older_runs_has_its_name_of_today():
    """A run that was resumed with a newer version has rows of both kinds: they are one column."""
    rows = [{"iteration": 1, "loss/penalty": 0.5}, {"iteration": 2, "loss/penalty_d": 0.25}, {"iteration": 3}]
    columns, last = to_columns(rows)
    assert sorted(columns) == ["iteration", "loss/penalty_d"]
    assert columns["loss/penalty_d"] == pytest.approx([0.5, 0.25, math.nan], nan_ok=True)
    assert last == {"iteration": 3, "loss/penalty_d": 0.25}
