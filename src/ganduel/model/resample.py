"""Feature maps at twice or half the size, by the filter [1, 3, 3, 1] along both axes: bilinear interpolation.

    [1, 3, 3, 1] = [1, 1] ∗ [1, 1] ∗ [1, 1]

so that each is a chain of means over 2 × 2 neighbours, which any backend differentiates twice and `vmap` batches; there
is no kernel to keep or to move to a device. Around an image are zeros.

    double(x)[2i + 1] = (3 x[i] + x[i + 1]) / 4,  double(x)[2i] = (x[i − 1] + 3 x[i]) / 4
    halve(x)[i] = (x[2i − 1] + 3 x[2i] + 3 x[2i + 1] + x[2i + 2]) / 8

Source: Karras et al. 2019 (arXiv:1812.04948), section 2, after Zhang 2019, "Making convolutional networks
shift-invariant again" (arXiv:1904.11486); the default filter of StyleGAN2's and R3GAN's code.
"""

from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad


def double(x: Tensor) -> Tensor:
    """(…, h, w) → (…, 2h, 2w)."""
    return smooth(pad(interpolate(x, scale_factor=2), (1, 1, 1, 1)), 2)


def halve(x: Tensor) -> Tensor:
    """(…, 2h, 2w) → (…, h, w)."""
    return avg_pool2d(smooth(pad(x, (1, 1, 1, 1)), 2), 2)


def blur(x: Tensor, padding: int) -> Tensor:
    """The filter alone, whose sum is 1: sides grow by 2 · padding − 3."""
    return smooth(pad(x, (padding,) * 4), 3)


def smooth(x: Tensor, times: int) -> Tensor:
    """Means over 2 × 2 neighbours, over and over; each takes one pixel off a side."""
    for _ in range(times):
        x = avg_pool2d(x, 2, stride=1)
    return x
