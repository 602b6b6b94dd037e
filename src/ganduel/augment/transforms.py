"""Transformations of images (batch, channels, height, width), of each by parameters of its own.

All are linear in the image and made of gathers and products, so that derivatives of any order pass through them, as R1
behind an augmentation needs: torch's own `grid_sample` has none beyond the first.
"""

import torch
from torch import Tensor


def translate(x: Tensor, shifts: Tensor) -> Tensor:
    """Moved by whole pixels, down and to the right; what comes in is 0.

    Args:
        x: images.
        shifts: (batch, 2) whole numbers.
    """
    for dim, shift in ((2, shifts[:, 0]), (3, shifts[:, 1])):
        size = x.shape[dim]
        source = torch.arange(size, device=x.device) - shift[:, None]
        place = [len(x), 1, 1, 1]
        place[dim] = size
        inside = ((source >= 0) & (source < size)).view(place)
        x = x.gather(dim, source.clamp(0, size - 1).view(place).expand_as(x)) * inside
    return x


def flip(x: Tensor, which: Tensor) -> Tensor:
    """Mirrored left to right, where `which` (batch,) is true."""
    return torch.where(which.view(-1, 1, 1, 1), x.flip(3), x)


def cut_out(x: Tensor, centres: Tensor, size: tuple[int, int]) -> Tensor:
    """A rectangle set to 0.

    Args:
        x: images.
        centres: (batch, 2) row and column of its middle pixel; what is outside of the image is cut off.
        size: its height and width.
    """
    rows, columns = (
        (torch.arange(x.shape[2 + i], device=x.device) - centres[:, i, None] + size[i] // 2) for i in (0, 1)
    )
    within_rows, within_columns = (rows >= 0) & (rows < size[0]), (columns >= 0) & (columns < size[1])
    return x * ~(within_rows[:, None, :, None] & within_columns[:, None, None, :])


def warp(x: Tensor, inverse: Tensor) -> Tensor:
    """Moved by an affine map, with bilinear interpolation; beyond the border the image is its own mirror.

    Args:
        x: images.
        inverse: (batch, 2, 3), from a place in the result to the place in the image that is shown there; in pixels from
            the image's centre, x to the right and y down.
    """
    height, width = x.shape[2:]
    like = {"device": x.device, "dtype": inverse.dtype}
    ys = torch.arange(height, **like) - (height - 1) / 2
    xs = torch.arange(width, **like) - (width - 1) / 2
    y, x_ = torch.meshgrid(ys, xs, indexing="ij")
    places = torch.stack([x_, y, torch.ones_like(y)]).flatten(1)
    source = inverse @ places
    column, row = source[:, 0] + (width - 1) / 2, source[:, 1] + (height - 1) / 2
    left, top = column.floor(), row.floor()
    right_share, bottom_share = column - left, row - top
    pixels, warped = x.flatten(2), torch.zeros_like(x).flatten(2)
    for down in (0, 1):
        for over in (0, 1):
            index = mirrored(top + down, height) * width + mirrored(left + over, width)
            share = (bottom_share if down else 1 - bottom_share) * (right_share if over else 1 - right_share)
            values = pixels.gather(2, index[:, None].expand_as(pixels))
            warped = warped + values * share[:, None].to(x.dtype)
    return warped.view_as(x)


def mirrored(index: Tensor, size: int) -> Tensor:
    """Whole numbers brought into [0, size − 1] by reflection at the outermost pixels."""
    period = max(1, 2 * (size - 1))
    index = index.long().remainder(period)
    return torch.minimum(index, period - index).clamp(max=size - 1)


def change_colours(x: Tensor, matrix: Tensor) -> Tensor:
    """Each pixel's channels by an affine map, (batch, channels, channels + 1)."""
    channels = x.shape[1]
    matrix = matrix.to(x.dtype)
    return torch.einsum("nij,njhw->nihw", matrix[:, :, :channels], x) + matrix[:, :, channels, None, None]
