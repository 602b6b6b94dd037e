"""Transformations of planted images: where each pixel goes, and that any derivative passes through."""

import math

import pytest
import torch

from ganduel.augment.transforms import change_colours, cut_out, flip, mirrored, translate, warp


def image(*rows):
    """One grey image."""
    return torch.tensor(rows, dtype=torch.float64)[None, None]


def affine(*rows):
    return torch.tensor(rows, dtype=torch.float64)[None]


PICTURE = image([1, 2, 3], [4, 5, 6], [7, 8, 9])


def test_translate_moves_down_and_to_the_right_and_brings_in_zeros():
    assert torch.equal(translate(PICTURE, torch.tensor([[1, 0]])), image([0, 0, 0], [1, 2, 3], [4, 5, 6]))
    assert torch.equal(translate(PICTURE, torch.tensor([[0, -2]])), image([3, 0, 0], [6, 0, 0], [9, 0, 0]))
    both = translate(PICTURE.expand(2, 2, 3, 3), torch.tensor([[0, 0], [-1, 1]]))
    assert torch.equal(both[0, 1], PICTURE[0, 0])
    assert torch.equal(both[1, 0], image([0, 4, 5], [0, 7, 8], [0, 0, 0])[0, 0])


def test_flip_mirrors_those_that_are_chosen():
    x = PICTURE.expand(2, 1, 3, 3)
    assert torch.equal(
        flip(x, torch.tensor([False, True])), torch.cat([PICTURE, image([3, 2, 1], [6, 5, 4], [9, 8, 7])])
    )


def test_cut_out_is_cut_off_at_the_border():
    ones = torch.ones(1, 2, 4, 4)
    assert cut_out(ones, torch.tensor([[2, 2]]), (2, 2))[0, 1].tolist() == [
        [1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]  # fmt: skip
    assert cut_out(ones, torch.tensor([[0, 0]]), (2, 2)).sum() == 2 * 15


@pytest.mark.parametrize(
    ("inverse", "expected"),
    [
        ([[1, 0, 0], [0, 1, 0]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        ([[-1, 0, 0], [0, 1, 0]], [[3, 2, 1], [6, 5, 4], [9, 8, 7]]),
        ([[0, -1, 0], [1, 0, 0]], [[3, 6, 9], [2, 5, 8], [1, 4, 7]]),  # what is shown at (x, y) is at (−y, x)
        ([[1, 0, 1], [0, 1, 0]], [[2, 3, 2], [5, 6, 5], [8, 9, 8]]),  # mirrored at the border
        ([[1, 0, 0.5], [0, 1, 0]], [[1.5, 2.5, 2.5], [4.5, 5.5, 5.5], [7.5, 8.5, 8.5]]),  # halfway between two
        ([[1, 0, 0], [0, 1, 0.25]], [[1.75, 2.75, 3.75], [4.75, 5.75, 6.75], [6.25, 7.25, 8.25]]),
    ],
)
def test_warp_by_hand(inverse, expected):
    torch.testing.assert_close(warp(PICTURE, affine(*inverse)), image(*expected))


def test_warp_agrees_with_torch_within_the_image():
    """grid_sample with the same map, in its normalised coordinates, on images that are not square."""
    torch.manual_seed(0)
    x = torch.randn(4, 3, 6, 8).double()
    inverse = torch.eye(2, 3).double() + 0.2 * torch.randn(4, 2, 3).double()
    size = torch.tensor([8.0, 6.0]).double()
    theta = inverse.clone()
    theta[:, :, :2] = inverse[:, :, :2] * size[None, None] / size[None, :, None]
    theta[:, :, 2] = inverse[:, :, 2] * 2 / size
    places = torch.nn.functional.affine_grid(theta, [4, 3, 6, 8], align_corners=False)
    expected = torch.nn.functional.grid_sample(x, places, padding_mode="zeros", align_corners=False)
    inside = (places.abs() < 1 - 1 / 6).all(-1)[:, None].expand_as(x)
    assert inside.float().mean() > 0.3
    torch.testing.assert_close(warp(x, inverse)[inside], expected[inside])


def test_mirrored_indices():
    assert mirrored(torch.arange(-4, 8), 4).tolist() == [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]
    assert mirrored(torch.arange(-2, 3), 1).tolist() == [0] * 5


def test_colours_are_an_affine_map_of_each_pixel():
    x = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1).expand(2, 3, 2, 2)
    matrix = torch.eye(3, 4).repeat(2, 1, 1)
    matrix[1, 0] = torch.tensor([0.0, 1.0, 1.0, 0.5])  # red becomes green + blue + 1/2
    changed = change_colours(x, matrix)
    assert torch.equal(changed[0], x[0])
    assert changed[1, :, 0, 1].tolist() == [5.5, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        lambda x: translate(x, torch.tensor([[1, -1], [0, 1]])),
        lambda x: warp(x, affine([math.cos(1), -math.sin(1), 0.3], [math.sin(1), math.cos(1), -0.4]).expand(2, 2, 3)),
        lambda x: cut_out(x, torch.tensor([[1, 1], [2, 0]]), (2, 1)),
        lambda x: change_colours(x, torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0)).double()),
    ],
)
def test_second_derivatives_pass_through(change):
    """As R1 behind an augmentation needs them; torch's grid_sample has none."""
    x = torch.randn(2, 2, 3, 3).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: change(x).pow(3).sum(), x)
