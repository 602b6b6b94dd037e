"""Coloured shapes on black, 32×32 pixels, of which everything is known: 5 shapes × 6 colours are 30 modes.

    factor      values                                                     in pixels
    shape       circle, square, triangle, cross, star                      class = mode // 6
    colour      red, green, blue, yellow, magenta, cyan                    mode % 6
    area        uniform in [80, 180], the same for all shapes              its root is the size
    angle       uniform in one turn
    position    uniform where the sprite is whole, two pixels from the edge

A pixel is as bright as the share of it that is covered, from the distance to the outline. Sprites are drawn when they
are asked for, not stored: minibatch number `position` is a function of (seed, "sprites", position); there is no end.

`identify` inverts the rendering: colour by the mean, area and position by moments of order 0 and 1, and for each shape
the angle by the phase of the moment of its order of symmetry. The image is rendered again as each: the shape is that
which leaves the least over, and how much that is says whether it is a sprite at all.
"""

import math
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ganduel import rng
from ganduel.data.base import Data, Split, denormalise, normalise
from ganduel.errors import UserError, nearest
from ganduel.types import Bytes, Images, Labels

SIZE = 32
AREA = (80.0, 180.0)
LEAST, MOST = 72.0, 198.0  # of what is taken for a sprite: pixels tell the area to a few
COLOURS = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]).float()
SPARE = 0.05  # of an image's squares, that rendering it again may leave over: the nearest other shape leaves 0.07

Shown = Literal["none", "shape", "mode"]


class Shape(NamedTuple):
    """An outline that is the same after 1/order of a turn, of corners at distance R from the centre, and between them.

    Attributes:
        order: of the symmetry; 0: any angle.
        inner: the distance of the outline from the centre between two corners, over R.
        area: of the shape with R = 1.
    """

    order: int
    inner: float
    area: float


def polygon(order: int, inner: float) -> Shape:
    """Corners at distance 1 and others at distance `inner` in turn."""
    return Shape(order, inner, order * inner * math.sin(math.pi / order))


ARM = 0.35  # half the width of a cross, over half its length
SHAPES = {
    "circle": Shape(0, 1.0, math.pi),
    "square": polygon(4, math.cos(math.pi / 4)),
    "triangle": polygon(3, math.cos(math.pi / 3)),
    "cross": Shape(4, ARM, 8 * ARM - 4 * ARM**2),
    "star": polygon(5, math.sin(math.pi / 10) / math.sin(3 * math.pi / 10)),
}


class Factors(NamedTuple):
    """What a sprite is drawn from; lengths in pixels."""

    mode: Int64[Tensor, " n"]
    area: Float[Tensor, " n"]
    angle: Float[Tensor, " n"]
    centre: Float[Tensor, "n 2"]


class Sprites(Data):
    """Coloured shapes.

    Args:
        labels: "shape" for five classes, "mode" for thirty, "none" for networks that take none.
    """

    licence = "none: samples are computed"
    shape = (3, SIZE, SIZE)
    features = ""  # none, not those of colour images: its modes are told exactly, and in seconds
    splits = ("train", "test")
    modes = len(SHAPES) * len(COLOURS)

    def __init__(self, labels: Shown = "none"):
        if labels not in get_args(Shown):
            raise UserError(f"data.labels={labels} is not known. {nearest(labels, get_args(Shown))}")
        self.labels = labels
        self.classes = {"none": None, "shape": len(SHAPES), "mode": self.modes}[labels]
        self.device = torch.device("cpu")

    def use_labels(self) -> None:
        raise UserError(
            "a condition needs classes. Which of the sprites': data.labels=shape (5) or data.labels=mode (30)?"
        )

    def to(self, device: torch.device) -> None:
        self.device = torch.device(device)

    def minibatch(
        self, seed: int, position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Images, Labels | None]:
        drawn = draw_factors(batch_size, rng.generator(seed, "sprites", position))
        factors = Factors(*(factor[rows].to(self.device) for factor in drawn))
        return render(factors).to(torch.get_default_dtype()), self.label(factors.mode)

    def label(self, mode: Int64[Tensor, " n"]) -> Labels | None:
        """The class that sprites of these modes have, if they have any."""
        return {"none": None, "shape": mode // len(COLOURS), "mode": mode}[self.labels]

    def reference(self, split: Split, n: int, draw: int = 0) -> Bytes:
        factors = self.factors(split, n, draw)
        return torch.cat(
            [denormalise(render(Factors(*part))) for part in zip(*(f.split(1000) for f in factors), strict=True)]
        )

    def reference_labels(self, split: Split, n: int, draw: int = 0) -> Labels | None:
        return self.label(self.factors(split, n, draw).mode)

    def factors(self, split: Split, n: int, draw: int = 0) -> Factors:
        """What `reference` renders for the same arguments."""
        self.check_split(split)
        return draw_factors(n, rng.generator("reference", split, draw))

    def classify(self, images: Images | Bytes) -> Labels:
        """The class that each image is nearest to; only with labels."""
        labels = self.label(self.identify(images)[0])
        assert labels is not None, "data.labels=none has no classes"
        return labels

    def identify(self, images: Images | Bytes) -> tuple[Int64[Tensor, " n"], Bool[Tensor, " n"]]:
        """The mode that each image is nearest to, and whether it is a sprite."""
        modes, good = [], []
        for part in images.split(1000):
            factors, rest = explain(part)
            modes.append(factors.mode)
            good.append((rest <= SPARE) & (factors.area > LEAST) & (factors.area < MOST))
        return torch.cat(modes), torch.cat(good)


def draw_factors(n: int, generator: torch.Generator) -> Factors:
    """Factors of n sprites, on the CPU."""
    mode = torch.randint(Sprites.modes, (n,), generator=generator)
    area, turn, x, y = torch.rand(4, n, generator=generator)
    area = AREA[0] + (AREA[1] - AREA[0]) * area
    margin = radius(mode, area) + 2  # a pixel, and one for the soft point of a star
    centre = margin[:, None] + (SIZE - 2 * margin[:, None]) * torch.stack([x, y], 1)
    return Factors(mode, area, 2 * math.pi * turn, centre)


def radius(mode: Tensor, area: Tensor) -> Tensor:
    """The distance of the outermost points from the centre."""
    unit = torch.tensor([shape.area for shape in SHAPES.values()])
    reach = torch.tensor([math.hypot(1, ARM) if name == "cross" else 1.0 for name in SHAPES])
    which = mode.cpu() // len(COLOURS)
    return (reach[which] / unit[which].sqrt()).to(area) * area.sqrt()


def render(factors: Factors) -> Images:
    """The images of the factors, in [−1, 1], on their device."""
    colour = COLOURS.to(factors.area.device)[factors.mode % len(COLOURS)]
    return 2 * coverage(factors)[:, None] * colour[:, :, None, None] - 1


def coverage(factors: Factors) -> Float[Tensor, "n height width"]:
    """The share of each pixel that the sprite covers."""
    z = offsets(factors.centre)
    distance, angle = z.abs(), z.angle() - factors.angle[:, None, None]
    outline = torch.empty_like(distance)
    for number, (name, shape) in enumerate(SHAPES.items()):
        rows = factors.mode // len(COLOURS) == number
        r = (factors.area[rows] / shape.area).sqrt()[:, None, None]
        outline[rows] = beyond(name, shape, distance[rows], angle[rows], r)
    return (0.5 - outline).clamp(0, 1)


def beyond(name: str, shape: Shape, distance: Tensor, angle: Tensor, r: Tensor) -> Tensor:
    """How far points are beyond the outline, in pixels, negative inside; r is the shape's R."""
    if shape.order == 0:
        return distance - r
    half = math.pi / shape.order
    angle = ((angle + half).remainder(2 * half) - half).abs()  # into the half of a sector that begins at a corner
    x, y = distance * angle.cos(), distance * angle.sin()
    if name == "cross":
        return torch.maximum(x - r, y - ARM * r)
    nx, ny = shape.inner * math.sin(half), 1 - shape.inner * math.cos(half)  # normal to the edge
    return ((x - r) * nx + y * ny) / math.hypot(nx, ny)


def offsets(centre: Tensor) -> Tensor:
    """The pixels' places relative to centres, x + iy, (n, height, width)."""
    steps = torch.arange(SIZE, device=centre.device) + 0.5
    x, y = steps[None, None, :] - centre[:, 0, None, None], steps[None, :, None] - centre[:, 1, None, None]
    return torch.complex(*torch.broadcast_tensors(x, y))


def unit_range(images: Images | Bytes) -> Images:
    return (normalise(images).float() + 1) / 2


def explain(images: Images | Bytes) -> tuple[Factors, Float[Tensor, " n"]]:
    """The factors that each image is best explained by, and what they leave over."""
    x, palette = unit_range(images), COLOURS.to(images.device)
    colour = (x.sum((2, 3)) @ (palette / palette.norm(dim=1, keepdim=True)).T).argmax(1)
    own = palette[colour]
    mass = torch.einsum("nchw,nc->nhw", x, own) / own.sum(1)[:, None, None]
    mass = (2 * mass - 0.5).clamp(0, 1)  # as much at the outline, and nothing of a background that is nearly black
    area = mass.sum((1, 2)).clamp(min=1e-6)
    steps = torch.arange(SIZE, device=images.device) + 0.5
    centre = torch.stack([mass.sum(1) @ steps, mass.sum(2) @ steps], 1) / area[:, None]
    z, candidates = offsets(centre), []
    for number, shape in enumerate(SHAPES.values()):
        angle = (mass * z**shape.order).sum((1, 2)).angle() / max(shape.order, 1)
        candidates.append(Factors(number * len(COLOURS) + colour, area, angle, centre))
    rests = torch.stack([left_over(images, factors) for factors in candidates])
    rest, best = rests.min(0)
    angle = torch.stack([factors.angle for factors in candidates]).gather(0, best[None])[0]
    return Factors(best * len(COLOURS) + colour, area, angle, centre), rest


def left_over(images: Images | Bytes, factors: Factors) -> Float[Tensor, " n"]:
    """What rendering leaves unexplained: the sum of squares of the difference over that of the rendering."""
    x, rendered = unit_range(images), (render(factors) + 1) / 2
    return (x - rendered).square().sum((1, 2, 3)) / rendered.square().sum((1, 2, 3)).clamp(min=1)
