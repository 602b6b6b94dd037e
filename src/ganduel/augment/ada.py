r"""Adaptive discriminator augmentation: each change is made with probability p, and p follows how sure D is.

    r = E[sign(D(x))] over the real samples of `interval` iterations      1: D is sure of all of them
    p ← p + sign(r − target) · images / (1,000 · speed_kimg), in [0, 1]     images: seen in these iterations

Each of these with probability p, for each image anew, in this order:

    blit      mirrored left to right;  turned by 0°, 90°, 180° or 270°;  moved by whole pixels up to 1/8 of the size
    geom      scaled by 2^N(0, 0.2²);  turned by U(−180°, 180°);  stretched along one axis by 2^N(0, 0.2²) and shrunk
              along the other;  turned again;  moved by N(0, 1/8²) of the size.  Each turn with 1 − √(1 − p)
    color     brightness + N(0, 0.2²);  contrast · 2^N(0, 0.5²);  luma mirrored;  hue turned by U(−180°, 180°);
              saturation · 2^N(0, 1²); of images that are not RGB brightness, contrast and the mirror alone

At p = 0 it is the identity, bit for bit. All changes of place are one bilinear warp with mirrored borders; the paper's
code resamples through wavelet filters at twice the resolution, which is sharper. p is in the checkpoint, and in rows as
augment/p. The sign of a logit must say what D takes the sample for: of a loss without a threshold at 0 `target=null`
keeps p where it is.
Source: Karras, Aittala, Hellsten, Laine, Lehtinen, Aila 2020, "Training generative adversarial networks with limited
data", sections 2 and 3, target 0.6, 500 kimg (arXiv:2006.06676); the ranges are those of its published code.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ganduel.augment.base import RandomAugment, check_images
from ganduel.augment.transforms import change_colours, warp
from ganduel.errors import UserError, nearest
from ganduel.ranks import mean_over_ranks
from ganduel.types import Samples

KINDS = ("blit", "geom", "color")


class ADA(RandomAugment):
    """Augmentation of adaptive probability.

    Args:
        kinds: which of blit, geom and color.
        p: the probability at the start.
        target: of r; null: p stays as it is.
        interval: iterations between two adjustments of p.
        speed_kimg: thousands of images in which p can go from 0 to 1.
    """

    p: Tensor
    signs: Tensor  # the sum of E[sign] of the iterations since the last adjustment, and their number

    def __init__(
        self,
        kinds: Sequence[str] = KINDS,
        p: float = 0.0,
        target: float | None = 0.6,
        interval: int = 4,
        speed_kimg: float = 500.0,
    ):
        super().__init__()
        for kind in kinds:
            if kind not in KINDS:
                raise UserError(f"augment.kinds has {kind}, which is not known. {nearest(kind, KINDS)}")
        if not 0 <= p <= 1:
            raise UserError(f"augment.p={p} is a probability: at least 0 and at most 1.")
        if target is not None and not -1 < target < 1:
            raise UserError(
                f"augment.target={target} is of a mean of signs, between -1 and 1. Use 0.6, or null for none."
            )
        if interval < 1 or not speed_kimg > 0:
            raise UserError("augment.interval must be at least 1, and augment.speed_kimg above 0.")
        self.kinds, self.target, self.interval, self.speed_kimg = tuple(kinds), target, interval, speed_kimg
        self.register_buffer("p", torch.tensor(float(p)))
        self.register_buffer("signs", torch.zeros(2))

    def check(self, loss: Any, shape: Sequence[int]) -> None:
        check_images("ada", shape)
        if "blit" in self.kinds and shape[1] != shape[2]:
            raise UserError(f"augment=ada turns images by 90°, and these are {shape[1]}×{shape[2]}. Leave out blit.")
        if self.target is not None and loss.threshold != 0:
            raise UserError(
                f"augment=ada follows the sign of D's logits, which says nothing in {type(loss).__name__}. "
                "Use augment.target=null with augment.p=0.3, or augment=diffaugment."
            )

    def forward(self, x: Samples) -> Samples:
        inverse, moved = self.placement(x)
        if moved is not None:
            x = torch.where(moved.view(-1, 1, 1, 1), warp(x, inverse[:, :2]), x)
        if "color" in self.kinds:
            matrix, changed = self.colours(x)
            x = torch.where(changed.view(-1, 1, 1, 1), change_colours(x, matrix), x)
        return x

    def adapt(self, outputs: dict[str, Tensor]) -> None:
        if self.target is None:
            return
        assert self.draws is not None
        mean = mean_over_ranks(outputs["logit/real"].float().sign().mean())
        self.signs.add_(torch.stack([mean, torch.ones_like(mean)]))
        total, n = self.signs
        due = n >= self.interval
        step = (total / n - self.target).sign() * n * self.draws.batch_size / (1000 * self.speed_kimg)
        self.p.add_(step * due).clamp_(0, 1)
        self.signs.mul_(~due)

    def statistics(self) -> dict[str, Tensor]:
        return {"augment/p": self.p}

    def placement(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Where each pixel comes from, (batch, 3, 3) in homogeneous coordinates, and which images change at all."""
        n, (height, width) = len(x), x.shape[2:]
        size = torch.tensor([width, height], device=x.device, dtype=torch.float32)
        inverse, moved = torch.eye(3, device=x.device).expand(n, 3, 3), None
        if "blit" in self.kinds:
            gates, (mirrored, quarter, *shift) = self.gates(x, 3), self.uniform(x, 4).unbind(1)
            whole = ((2 * torch.stack(shift, 1) - 1) * size / 8).round()
            turns = (4 * quarter).floor() * (math.pi / 2)
            mirror = torch.stack([torch.where(mirrored < 0.5, -1.0, 1.0), torch.ones_like(mirrored)], 1)
            for gate, step in zip(gates, (scaling(mirror), rotation(turns), translation(whole)), strict=True):
                inverse = torch.where(gate.view(-1, 1, 1), inverse @ step, inverse)
            moved = torch.stack(gates).any(0)
        if "geom" in self.kinds:
            p_turn = 1 - (1 - self.p).sqrt()
            gates = self.gates(x, 5, torch.stack([self.p, p_turn, self.p, p_turn, self.p]))
            (first, second), (zoom, stretch, *shift) = self.uniform(x, 2).unbind(1), self.normal(x, 4).unbind(1)
            zoom, stretch = (2 ** (0.2 * zoom)).reciprocal(), (2 ** (0.2 * stretch)).reciprocal()
            steps = (
                scaling(torch.stack([zoom, zoom], 1)),
                rotation((2 * first - 1) * math.pi),
                scaling(torch.stack([stretch, stretch.reciprocal()], 1)),
                rotation((2 * second - 1) * math.pi),
                translation(torch.stack(shift, 1) * size / 8),
            )
            for gate, step in zip(gates, steps, strict=True):
                inverse = torch.where(gate.view(-1, 1, 1), inverse @ step, inverse)
            changed = torch.stack(gates).any(0)
            moved = changed if moved is None else moved | changed
        return inverse, moved

    def colours(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The map of each image's channels, (batch, channels, channels + 1), and which images change at all."""
        n, channels = len(x), x.shape[1]
        gates = self.gates(x, 5)
        brightness, contrast, saturation = (self.normal(x, 3) * torch.tensor([0.2, 0.5, 1.0], device=x.device)).unbind(
            1
        )
        mirrored, turn = self.uniform(x, 2).unbind(1)
        eye = torch.eye(channels, device=x.device).expand(n, channels, channels)
        matrix, offset = eye, torch.where(gates[0], brightness, 0.0).view(-1, 1, 1).expand(n, channels, 1)
        factor = torch.where(gates[1], 2**contrast, 1.0).view(-1, 1, 1)
        matrix, offset = factor * matrix, factor * offset
        grey = torch.full((3, 3), 1 / 3, device=x.device) if channels == 3 else eye
        flipped = gates[2] & (mirrored < 0.5)
        mirror = torch.where(flipped.view(-1, 1, 1), eye - 2 * grey, eye)
        matrix, offset = mirror @ matrix, mirror @ offset
        if channels == 3:
            hue = torch.where(gates[3].view(-1, 1, 1), turn_around_grey((2 * turn - 1) * math.pi), eye)
            factor = torch.where(gates[4], 2**saturation, 1.0).view(-1, 1, 1)
            saturate = grey + factor * (eye - grey)
            matrix, offset = saturate @ hue @ matrix, saturate @ hue @ offset
        changed = torch.stack(gates[: 5 if channels == 3 else 3]).any(0)
        return torch.cat([matrix, offset], 2), changed

    def gates(self, x: Tensor, n: int, p: Tensor | None = None) -> list[Tensor]:
        """Whether each of n changes is made, of each image."""
        return list((self.uniform(x, n) < (self.p if p is None else p)).unbind(1))


def homogeneous(linear: Tensor, shift: Tensor) -> Tensor:
    """(batch, 2, 2) and (batch, 2) as (batch, 3, 3)."""
    upper = torch.cat([linear, shift[:, :, None]], 2)
    return torch.cat([upper, upper.new_tensor([0.0, 0.0, 1.0]).expand(len(upper), 1, 3)], 1)


def scaling(factors: Tensor) -> Tensor:
    return homogeneous(torch.diag_embed(factors), torch.zeros_like(factors))


def rotation(angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    linear = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    return homogeneous(linear, torch.zeros_like(linear[:, 0]))


def translation(shift: Tensor) -> Tensor:
    return homogeneous(torch.eye(2, device=shift.device).expand(len(shift), 2, 2), shift)


def turn_around_grey(angle: Tensor) -> Tensor:
    """The rotation of RGB around the grey axis, (batch, 3, 3): Rodrigues' formula."""
    angle, grey = angle.view(-1, 1, 1), torch.full((3, 3), 1 / 3, device=angle.device)
    eye = torch.eye(3, device=angle.device)
    cross = 3**-0.5 * (eye.roll(1, 0) - eye.roll(-1, 0))  # u × v for the unit vector u of the axis
    return angle.cos() * (eye - grey) + angle.sin() * cross + grey
