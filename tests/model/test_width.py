"""Widths by size."""

import pytest

from ganduel.errors import UserError
from ganduel.model.width import widths_of


def square(*sides):
    return [(side, side) for side in sides]


def test_those_of_the_paper():
    """Karras et al. 2020, config F at 1,024 × 1,024."""
    sizes = square(4, 8, 16, 32, 64, 128, 256, 512, 1024)
    assert widths_of("g", sizes, 32768, 512) == [512] * 5 + [256, 128, 64, 32]


def test_the_shorter_side_counts_rounded_up_to_a_power_of_two():
    assert widths_of("g", [*square(7, 14, 28, 48), (64, 128)], 1024, 100) == [100, 64, 32, 16, 16]


@pytest.mark.parametrize(
    ("base", "most", "message"),
    [(1024, 0, r"^g\.max_width=0 leaves"), (20, 8, r"^g\.base_width=20 leaves no channel at 28 pixels\. Use 32 or mo")],
)
def test_refuses_what_leaves_no_channel(base, most, message):
    with pytest.raises(UserError, match=message):
        widths_of("g", square(14, 28), base, most)
