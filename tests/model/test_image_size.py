"""Sizes of images that halve exactly, and how others are refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganduel.errors import UserError
from ganduel.model.image_size import pyramid, sides


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((1, 28, 28), [(7, 7), (14, 14), (28, 28)]),
        ((3, 32, 32), [(4, 4), (8, 8), (16, 16), (32, 32)]),
        ((3, 48, 48), [(6, 6), (12, 12), (24, 24), (48, 48)]),
        ((4, 128, 64), [(8, 4), (16, 8), (32, 16), (64, 32), (128, 64)]),
        ((1, 8, 20), [(4, 10), (8, 20)]),
    ],
)
def test_pyramid(shape, sizes):
    assert pyramid("m", shape) == sizes


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_pyramid_begins_at_four_to_seven_pixels_and_doubles(height, width):
    """Or it is refused, and the sides that are named instead fit."""
    try:
        sizes = pyramid("m", (1, height, width))
    except UserError as error:
        named = [int(word) for word in str(error).rpartition("Square ones of ")[2].split() if word.isdigit()]
        assert named
        for side in named:
            pyramid("m", (1, side, side))
    else:
        assert sizes[-1] == (height, width)
        assert 4 <= min(sizes[0]) <= 7
        assert all(b == (2 * a[0], 2 * a[1]) for a, b in pairwise(sizes))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: pyramid("m", (3, 30, 30)),
            r"model=m halves .* 30 × 30 cannot be\. Square ones of 28 × 28 or 32 × 32 ",
        ),
        (lambda: pyramid("m", (3, 32, 34)), r"32 × 34 cannot be\. Square ones of 32 × 32 or 40 × 40 can\.$"),
        (lambda: pyramid("m", (3, 4, 4)), r"4 × 4 cannot be\. Square ones of 8 × 8 can\.$"),
        (lambda: pyramid("m", (2,)), r"model=m is for images .* the shape \(2,\)\. Use model=mlp\.$"),
        (lambda: sides("m", (3, 30, 32), 4), r"multiples of 4, .* 30 × 32 are not\. Square ones of 28 × 28 or 32 × 32"),
        (lambda: sides("m", (3, 3, 3), 8), r"3 × 3 are not\. Square ones of 8 × 8 are\.$"),
        (lambda: sides("m", (5,), 4), r"model=m is for images"),
    ],
)
def test_others_are_refused_with_those_that_fit(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_sides():
    assert sides("m", (1, 8, 20), 4) == (8, 20)
