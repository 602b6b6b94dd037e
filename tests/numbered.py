"""Files with a number each, and what reads them into arrays."""

import numpy as np


def array(path):
    """Two values, the number that is in the file; none where there is no number."""
    text = path.read_text()
    return np.full(2, int(text), np.uint8) if text.isdigit() else "no number"


def in_turn(paths, done):
    yield from map(array, paths)


def refuse(paths, done):
    raise AssertionError("they are read again")
    yield


def values(mapped):
    return mapped.rows[mapped.readable, 0].tolist()


NUMBERS = [0, 1, 2, 4, 5, 6, 7, 8, 9]
