"""Filled convex polygons, white on black: images on a manifold of few dimensions, of any number.

    corners    on a circle, at angles whose gaps are at least 0.4 of the mean gap, and else uniform
    radius     of the circle, uniform in [1/4, 3/8] of the image's size
    centre     uniform where the circle is half a pixel and a sixteenth of the size, or more, from the edge

A pixel is as bright as the share of it that is covered, from the distance to the nearest edge. The corners of any
triangle are on a circle; polygons with more are those of which they are. The images are a function of the parameters
alone: those of a split are drawn from ("polygons", split), and fewer of them are the first of more.
Source: Lucic, Kurach, Michalski, Gelly, Bousquet 2018, "Are GANs created equal? A large-scale study", section 5
(arXiv:1711.10337), with triangles.
"""

import math
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from ganduel import rng
from ganduel.data.base import Split, TensorData, denormalise
from ganduel.errors import UserError
from ganduel.types import Bytes, Images

TEST = 5000  # images to compare with
LEAST_GAP = 0.4  # between the angles of neighbouring corners, in mean gaps
PART = 1000  # images that are rendered together


class Polygons(TensorData):
    """Polygons of one number of corners.

    Args:
        n: the number of images for training.
        corners: of each polygon.
        size: height and width of an image, in pixels.
    """

    features = "pixels"
    splits = ("train", "test")

    def __init__(self, n: int = 20_000, corners: int = 3, size: int = 32):
        if n < 1:
            raise UserError(f"data.n={n} must be at least 1: the number of images.")
        if corners < 3:
            raise UserError(f"data.corners={corners} must be at least 3.")
        if size < 8:
            raise UserError(f"data.size={size} must be at least 8: smaller images show no corners.")
        self.corners, self.pixels = corners, size
        super().__init__(self.images("train", n))

    def images(self, split: Split, n: int) -> Bytes:
        """N images of a split."""
        corners = draw_corners(n, self.corners, self.pixels, rng.generator("polygons", split))
        return torch.cat([denormalise(render(part, self.pixels)) for part in corners.split(PART)])

    @cached_property
    def test_images(self) -> Bytes:
        return self.images("test", TEST)

    def samples_of(self, split: Split) -> Tensor:
        return self.test_images if split == "test" else self.samples


def draw_corners(n: int, corners: int, size: int, generator: torch.Generator) -> Float[Tensor, "n corners 2"]:
    """The corners (x, y) of n polygons, in pixels, in the order of their angles."""
    place, turn, cuts = torch.rand(n, corners + 3, generator=generator).split([3, 1, corners - 1], 1)
    radius = size * (2 + place[:, :1]) / 8
    margin = radius + size / 16 + 0.5
    centre = margin + (size - 2 * margin) * place[:, 1:]
    free = torch.diff(cuts.sort().values, prepend=torch.zeros(n, 1), append=torch.ones(n, 1))  # adds up to 1
    gaps = LEAST_GAP / corners + (1 - LEAST_GAP) * free
    angles = 2 * math.pi * (turn + gaps.cumsum(1))
    return centre[:, None] + radius[:, None] * torch.stack([angles.cos(), angles.sin()], 2)


def render(corners: Float[Tensor, "n corners 2"], size: int) -> Images:
    """Images of polygons, in [−1, 1], (n, 1, size, size); y goes down."""
    steps = torch.arange(size) + 0.5
    pixels = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), 2)  # (height, width, 2), as (x, y)
    edges = corners.roll(-1, 1) - corners
    outwards = torch.stack([edges[..., 1], -edges[..., 0]], 2) / edges.norm(dim=2, keepdim=True)
    beyond = torch.einsum("hwc,nkc->nkhw", pixels, outwards) - (outwards * corners).sum(2)[..., None, None]
    return 2 * (0.5 - beyond.amax(1, keepdim=True)).clamp(0, 1) - 1
