"""Which sizes of images a convolutional network can be built for: those that its layers halve and double exactly.

    pyramid    halved while both sides are even and stay at least 4: 28 → 14 → 7, 32 → 16 → 8 → 4, 48 → 24 → 12 → 6
    sides      multiples of the factor by which a network of so many layers shrinks an image

Everything else is refused when the network is built, with the nearest sizes that do.
"""

from collections.abc import Callable, Sequence

from ganduel.errors import UserError

SMALLEST, LARGEST = 4, 7  # the shorter side of the smallest feature map: no smaller, and larger ones are not yet halved


def pyramid(model: str, shape: Sequence[int]) -> list[tuple[int, int]]:
    """Heights and widths of feature maps, from the smallest to the images', each twice the one before."""
    height, width = size_of(model, shape)
    sizes = halved(height, width)
    if not is_pyramid(sizes):
        able = nearest_squares(min(height, width), lambda side: is_pyramid(halved(side, side)))
        raise UserError(
            f"model={model} halves images until the shorter side has {SMALLEST} to {LARGEST} pixels, and those of "
            f"{height} × {width} cannot be. {able} can."
        )
    return sizes[::-1]


def sides(model: str, shape: Sequence[int], factor: int) -> tuple[int, int]:
    """Height and width of images whose sides are multiples of the factor."""
    height, width = size_of(model, shape)
    if height % factor or width % factor:
        able = nearest_squares(min(height, width), lambda side: side % factor == 0)
        raise UserError(
            f"model={model} takes images whose sides are multiples of {factor}, and those of {height} × {width} are "
            f"not. {able} are."
        )
    return height, width


def size_of(model: str, shape: Sequence[int]) -> tuple[int, int]:
    """Height and width; samples that are no images are refused."""
    if len(shape) != 3:
        found = f"these samples have the shape {tuple(shape)}"
        raise UserError(f"model={model} is for images (channels, height, width), and {found}. Use model=mlp.")
    return shape[1], shape[2]


def halved(height: int, width: int) -> list[tuple[int, int]]:
    """The size, its half, …, as far as it goes."""
    sizes = [(height, width)]
    while height % 2 == width % 2 == 0 and min(height, width) >= 2 * SMALLEST:
        height, width = height // 2, width // 2
        sizes.append((height, width))
    return sizes


def is_pyramid(sizes: Sequence[tuple[int, int]]) -> bool:
    return len(sizes) > 1 and min(sizes[-1]) <= LARGEST


def nearest_squares(side: int, fits: Callable[[int], bool]) -> str:
    """The nearest sides that fit, from above and, where there are any, from below."""
    below = next((n for n in range(side, 0, -1) if fits(n)), None)
    above = next(n for n in range(side + 1, 2 * side + 2 * SMALLEST + 1) if fits(n))
    return "Square ones of " + " or ".join(f"{n} × {n}" for n in (below, above) if n is not None)
