"""Feature maps at twice or half the size, by the filter [1, 3, 3, 1] along both axes: bilinear interpolation.

    double(x)[2i] = (x[i − 1] + 3 x[i]) / 4,  double(x)[2i + 1] = (3 x[i] + x[i + 1]) / 4
    halve(x)[i] = (x[2i − 1] + 3 x[2i] + 3 x[2i + 1] + x[2i + 2]) / 8

Around a map are zeros. The sums are of slices: there is no kernel to keep or to move to a device, and `vmap` batches
them. As means over neighbours (avg_pool2d) they would take thrice the time on a CPU.
Source: Karras et al. 2019 (arXiv:1812.04948), configuration B, there by [1, 2, 1], after Zhang 2019, "Making
convolutional networks shift-invariant again" (arXiv:1904.11486); [1, 3, 3, 1] is of StyleGAN2's and R3GAN's code.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

AXES = (-1, -2)


def double(x: Tensor) -> Tensor:
    """(…, h, w) → (…, 2h, 2w)."""
    x = pad(x, (1, 1, 1, 1))
    for axis in AXES:
        before, here, after = slices(x, axis, 3)
        x = torch.stack([(before + 3 * here) / 4, (3 * here + after) / 4], axis).flatten(axis - 1, axis)
    return x


def halve(x: Tensor) -> Tensor:
    """(…, 2h, 2w) → (…, h, w)."""
    x = pad(x, (1, 1, 1, 1))
    for axis in AXES:
        first, second = x.unflatten(axis, (-1, 2)).unbind(axis)
        (a, c), (b, d) = slices(first, axis, 2), slices(second, axis, 2)
        x = (a + 3 * b + 3 * c + d) / 8
    return x


def blur(x: Tensor, padding: int) -> Tensor:
    """The filter alone, whose sum is 1: sides grow by 2 · padding − 3."""
    x = pad(x, (padding,) * 4)
    for axis in AXES:
        a, b, c, d = slices(x, axis, 4)
        x = (a + 3 * b + 3 * c + d) / 8
    return x


def slices(x: Tensor, axis: int, n: int) -> list[Tensor]:
    """The n longest slices that begin at 0, 1, … and are all of one length."""
    return [x.narrow(axis, i, x.shape[axis] - n + 1) for i in range(n)]
