"""Twice and half the size, against convolutions with the filter that is meant."""

import torch
from torch.nn.functional import conv2d, conv_transpose2d, interpolate

from ganduel.model.resample import blur, double, halve

FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


def test_each_is_a_convolution_with_1_3_3_1():
    x, kernel = torch.randn(2, 1, 6, 8), FILTER[None, None]
    torch.testing.assert_close(halve(x), conv2d(x, kernel, stride=2, padding=1))
    torch.testing.assert_close(double(x), conv_transpose2d(x, 4 * kernel, stride=2, padding=1))
    torch.testing.assert_close(blur(x, 2), conv2d(x, kernel, padding=2))


def test_inside_doubling_is_bilinear_interpolation():
    x = torch.randn(2, 3, 5, 4)
    bilinear = interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(double(x)[..., 1:-1, 1:-1], bilinear[..., 1:-1, 1:-1])


def test_the_formulas():
    x = torch.tensor([0.0, 8.0, 16.0, 8.0])[None, None, None].expand(1, 1, 4, 4)
    assert double(x)[0, 0, 2].tolist() == [0, 2, 6, 10, 14, 14, 10, 6]  # the last is (3 · 8 + 0) / 4
    assert halve(x)[0, 0, 0, 1].item() == 7 / 8 * (8 + 3 * 16 + 3 * 8 + 0) / 8  # 1/8 of the filter is above the image
