"""Interpolation between two z, at t in [0, 1].

    normal noise     (sin((1 − t)ω) a + sin(tω) b) / sin ω      ω = angle between a and b
    uniform noise    (1 − t) a + t b

On a straight line between two normal z the norm would fall below any that G was trained on: in d dimensions nearly all
z have a norm near √d, and the middle of the line has one near √(d/2). The arc keeps the norm.
Source: White 2016, "Sampling generative networks" (arXiv:1609.04468).
"""

import torch
from torch import Tensor

from ganduel.model.base import Generator
from ganduel.types import Noise


def interpolate(generator: Generator, a: Noise, b: Noise, t: Tensor) -> Tensor:
    """The points at t between each a and its b, (batch, len(t), noise_dim); at t = 0 and 1 exactly a and b."""
    kind = lerp if generator.noise == "uniform" else slerp
    return torch.stack([kind(a, b, float(s)) for s in t], dim=1)


def lerp(a: Noise, b: Noise, t: float) -> Noise:
    return (1 - t) * a + t * b


def slerp(a: Noise, b: Noise, t: float) -> Noise:
    """Along the arc; straight where a and b are collinear with the origin, as they always are in one dimension."""
    cosine = torch.cosine_similarity(a, b, dim=1).unsqueeze(1)
    angle = cosine.clamp(-1, 1).acos()
    sine = angle.sin()
    arc = torch.sin((1 - t) * angle) / sine * a + torch.sin(t * angle) / sine * b  # the factors are 0 and 1 at the ends
    return torch.where(cosine.abs() < 1 - 1e-6, arc, lerp(a, b, t))
