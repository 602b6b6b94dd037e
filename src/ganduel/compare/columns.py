"""Rows of metrics.jsonl as columns over iterations."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import NoneType
from typing import Any

import numpy as np

RENAMED_KEYS = {"loss/penalty": "loss/penalty_d"}  # keys of older runs


def to_columns(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Rows as columns over iterations, and the last value of each column; rows of one iteration are merged."""
    rows = sorted((row for row in rows if is_iteration(row.get("iteration"))), key=lambda row: row["iteration"])
    iterations, position = np.unique([float(row["iteration"]) for row in rows], return_inverse=True)
    columns: dict[str, np.ndarray] = {"iteration": iterations}
    last: dict[str, float] = {}
    for key, (row_numbers, values) in values_by_key(rows).items():
        column = columns.setdefault(key, np.full(len(iterations), np.nan))
        column[position[row_numbers]] = values  # of rows of one iteration the last counts
        last[key] = float(values[-1])
    return columns, last


def values_by_key(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Per key the rows that have a number there, in order, and the numbers; rows with equal keys are read at once."""
    rows_of_keys: dict[tuple[str, ...], list[int]] = {}
    for n, row in enumerate(rows):
        rows_of_keys.setdefault(tuple(row), []).append(n)
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for keys, row_numbers in rows_of_keys.items():
        values, is_numeric = to_floats([list(rows[n].values()) for n in row_numbers])
        for key, column, mask in zip(keys, values.T, is_numeric.T, strict=True):
            if mask.any():
                name = RENAMED_KEYS.get(key, key)
                parts.setdefault(name, []).append((np.array(row_numbers)[mask], column[mask]))
    merged = {}
    for key, pieces in parts.items():
        numbers, values = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
        order = np.argsort(numbers, kind="stable")
        merged[key] = (numbers[order], values[order])
    return merged


def to_floats(rows: Sequence[Sequence[Any]]) -> tuple[np.ndarray, np.ndarray]:
    """The values of rows as floats, and a mask of those that are numbers; null is one, as JSON has no NaN."""
    if {kind for row in rows for kind in map(type, row)} <= {int, float, NoneType}:
        with suppress(OverflowError):
            values = np.array(rows, dtype=np.float64)
            return values, np.ones(values.shape, dtype=bool)
    mask = np.array([[value is None or is_number(value) for value in row] for row in rows])
    return np.array([[float(x) if is_number(x) else np.nan for x in row] for row in rows]), mask


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number that fits a float; True is not one."""
    return value.__class__ is float or (value.__class__ is int and abs(value) < 2**1000)


def is_iteration(value: Any) -> bool:
    return is_number(value) and 0 <= value < 2**53
