"""Channels of feature maps by their size: the smaller, the wider, up to a limit.

    width(s) = min(max_width, base_width / s)     s = shorter side in pixels, rounded up to a power of 2

base_width = 32,768 and max_width = 512 give 512 up to 64 × 64, 256 at 128 × 128, …, 32 at 1,024 × 1,024.
Source: Karras et al. 2020 (arXiv:1912.04958), in whose code they are 2 · fmap_base and fmap_max.
"""

from collections.abc import Sequence

from ganduel.errors import UserError


def widths_of(network: str, sizes: Sequence[tuple[int, int]], base_width: int, max_width: int) -> list[int]:
    """The width of each size; `network` is the path of the config."""
    if max_width < 1:
        raise UserError(f"{network}.max_width={max_width} leaves no channel.")
    sides = [1 << (min(size) - 1).bit_length() for size in sizes]
    widths = [min(max_width, base_width // side) for side in sides]
    if min(widths) < 1:
        largest = max(min(size) for size in sizes)
        raise UserError(
            f"{network}.base_width={base_width} leaves no channel at {largest} pixels. Use {max(sides)} or more."
        )
    return widths
