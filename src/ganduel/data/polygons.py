"""Filled convex polygons, white on black: images on a manifold of few dimensions, of any number.

    corners    on a circle, at angles whose gaps are at least 0.4 of the mean gap, and else uniform
    radius     of the circle, uniform in [1/4, 3/8] of the image's size
    centre     uniform where the circle is half a pixel and a sixteenth of the size, or more, from the edge

A pixel is as bright as the share of it that is covered, from the distance to the nearest edge. The corners of any
triangle are on a circle; polygons with more are those of which they are. The images are a function of the parameters
alone: those of a split are drawn from ("polygons", split), and fewer of them are the first of more.
Of an image it can be told whether it is a triangle (`triangles`, the `identify` of data with three corners). Its mean
and covariance make it equilateral up to a rotation, whose angle is the phase of the third moment; the triangle is
rendered again, and what is left over says how far the image is from the manifold: the share that is near is the
precision of the paper. All of 20,000 images of 32 pixels are near, at 16 pixels 98 of 100.
Source: Lucic, Kurach, Michalski, Gelly, Bousquet 2018, "Are GANs created equal? A large-scale study"
(arXiv:1711.10337), with triangles.
"""

import math
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ganduel import rng
from ganduel.data.base import Split, TensorData, denormalise, normalise
from ganduel.errors import UserError
from ganduel.types import Bytes, Images

TEST = 5000  # images to compare with
LEAST_GAP = 0.4  # between the angles of neighbouring corners, in mean gaps
PART = 1000  # images that are rendered together
SPARE = 0.05  # of an image's squares, that a triangle may leave over; those of the data leave at most 0.04
LEAST, MOST = 0.012, 0.2  # of the area of a triangle, over the image's; in the data from 0.0154 to 0.183


class Polygons(TensorData):
    """Polygons of one number of corners.

    Args:
        n: the number of images for training.
        corners: of each polygon.
        size: height and width of an image, in pixels.
    """

    licence = "none: samples are computed"
    features = "pixels"
    splits = ("train", "test")
    modes = 1

    def __init__(self, n: int = 20_000, corners: int = 3, size: int = 32):
        if n < 1:
            raise UserError(f"data.n={n} must be at least 1: the number of images.")
        if corners < 3:
            raise UserError(f"data.corners={corners} must be at least 3.")
        if size < 8:
            raise UserError(f"data.size={size} must be at least 8: smaller images show no corners.")
        self.corners, self.pixels = corners, size
        if corners == 3:
            self.identify = triangles
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


def places(size: int, device: torch.device) -> Float[Tensor, "height width 2"]:
    """The middles (x, y) of the pixels; y goes down."""
    steps = torch.arange(size, device=device) + 0.5
    return torch.stack(torch.meshgrid(steps, steps, indexing="xy"), 2)


def render(corners: Float[Tensor, "n corners 2"], size: int) -> Images:
    """Images of polygons, in [−1, 1], (n, 1, size, size)."""
    pixels = places(size, corners.device)
    edges = corners.roll(-1, 1) - corners
    outwards = torch.stack([edges[..., 1], -edges[..., 0]], 2) / edges.norm(dim=2, keepdim=True)
    beyond = torch.einsum("hwc,nkc->nkhw", pixels, outwards) - (outwards * corners).sum(2)[..., None, None]
    return 2 * (0.5 - beyond.amax(1, keepdim=True)).clamp(0, 1) - 1


def triangles(images: Images | Bytes) -> tuple[Int64[Tensor, " n"], Bool[Tensor, " n"]]:
    """The mode of each image, which is 0, and whether it is a triangle."""
    good = torch.cat([is_triangle((normalise(part).float().squeeze(1) + 1) / 2) for part in images.split(PART)])
    return torch.zeros_like(good, dtype=torch.int64), good


def is_triangle(x: Float[Tensor, "n height width"]) -> Bool[Tensor, " n"]:
    """Whether images in [0, 1] are triangles."""
    size = x.shape[2]
    mass = (2 * x - 0.5).clamp(0, 1)  # as much at the outline, and nothing of a background that is nearly black
    area = mass.sum((1, 2)).clamp(min=1e-6)
    rendered = (render(triangle_of(mass, area), size).squeeze(1) + 1) / 2
    rest = (x - rendered).square().sum((1, 2)) / rendered.square().sum((1, 2)).clamp(min=1)
    return (rest <= SPARE) & (area > LEAST * size**2) & (area < MOST * size**2)


def triangle_of(mass: Float[Tensor, "n height width"], area: Float[Tensor, " n"]) -> Float[Tensor, "n corners 2"]:
    """The corners of the triangle with these moments; the equilateral one of unit covariance has its at √8."""
    pixels, mass = places(mass.shape[2], mass.device), mass / area[:, None, None]
    centre = torch.einsum("nhw,hwi->ni", mass, pixels)
    offsets = pixels - centre[:, None, None]
    covariance = torch.einsum("nhw,nhwi,nhwj->nij", mass, offsets, offsets) - torch.eye(2, device=mass.device) / 12
    values, vectors = torch.linalg.eigh(covariance)
    spread = vectors * values.clamp(min=1e-3).sqrt()[:, None]  # C = S Sᵀ, a pixel's own 1/12 taken off
    white = torch.linalg.solve(spread[:, None, None], offsets[..., None]).squeeze(-1)
    phase = (mass * torch.view_as_complex(white.contiguous()) ** 3).sum((1, 2)).angle() / 3
    angles = phase[:, None] + 2 * math.pi / 3 * torch.arange(3, device=mass.device)
    ideal = math.sqrt(8) * torch.stack([angles.cos(), angles.sin()], 2)
    corners = centre[:, None] + torch.einsum("nij,nkj->nki", spread, ideal)
    clockwise = torch.linalg.det(spread) < 0
    return torch.where(clockwise[:, None, None], corners.flip(1), corners)  # in the order that `render` takes
