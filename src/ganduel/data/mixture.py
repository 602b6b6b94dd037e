"""Equal mixtures of isotropic Gaussians: data whose density is known everywhere.

    p(x) = 1/m Σ_i N(x; c_i, σ² I)

c_i are the m centres in R^d, σ > 0 the standard deviation of each component. Samples are drawn, not stored: minibatch
number `position` is its part of a block of 32, a function of (seed, "data", position // 32), so that there is no epoch
and no end. Blocks are drawn on the CPU and moved to the training device. Each `draw` of `reference` is a further
independent set from the same density.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ganduel import rng
from ganduel.data.base import Data, Split
from ganduel.errors import UserError
from ganduel.rng import BlockCache
from ganduel.types import Labels, LogDensity, Points


class Mixture(Data):
    """Points around centres.

    Args:
        centres: one row of coordinates per component.
        sigma: σ, in the unit of the coordinates.
    """

    licence = "none: samples are computed"
    features = "points"
    splits = ("train", "test")

    def __init__(self, centres: Sequence[Sequence[float]], sigma: float):
        if len(centres) == 0 or len({len(centre) for centre in centres}) != 1 or len(centres[0]) == 0:
            raise UserError(f"data.centres={list(centres)}: each centre needs the same number of coordinates.")
        if not sigma > 0:
            raise UserError(f"data.sigma={sigma} must be positive.")
        self.centres = torch.tensor(centres, dtype=torch.float64)
        self.sigma = sigma
        self.shape = (self.centres.shape[1],)
        self.device = torch.device("cpu")
        self.block_caches: dict[tuple[tuple[int, ...], int], BlockCache] = {}  # by (seeds, batch_size)

    def use_labels(self) -> None:
        """The number of the component that a point is drawn from."""
        self.classes = len(self.centres)

    def to(self, device: torch.device) -> None:
        self.device = torch.device(device)
        self.block_caches = {}

    def minibatch(
        self, seed: int, position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Points, Labels | None]:
        samples, labels = self.minibatches((seed,), position, batch_size, rows)
        return samples[0], None if labels is None else labels[0]

    def minibatches(
        self, seeds: Sequence[int], position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor | None]:
        key = tuple(seeds), batch_size
        if key not in self.block_caches:
            self.block_caches[key] = BlockCache(partial(self.block, *key))
        points, components = self.block_caches[key](position)
        return points[:, rows], None if self.classes is None else components[:, rows]

    def block(self, seeds: Sequence[int], batch_size: int, block_index: int) -> list[tuple[Tensor, Tensor]]:
        """Points (seed, batch_size, d) and their components of each minibatch of a block, on the training device."""
        n = BlockCache.size * batch_size
        draws = [self.draw_labelled(n, rng.generator(seed, "data", block_index)) for seed in seeds]
        stacked = (torch.stack(parts).to(self.device) for parts in zip(*draws, strict=True))
        points, components = (part.unflatten(1, (BlockCache.size, batch_size)).transpose(0, 1) for part in stacked)
        return list(zip(points, components, strict=True))

    def reference(self, split: Split, n: int, draw: int = 0) -> Points:
        self.check_split(split)
        return self.draw(n, rng.generator("reference", split, draw))

    def reference_labels(self, split: Split, n: int, draw: int = 0) -> Labels | None:
        self.check_split(split)
        return None if self.classes is None else self.draw_labelled(n, rng.generator("reference", split, draw))[1]

    def classify(self, points: Points) -> Labels:
        """The component whose centre is nearest to each point."""
        return torch.cdist(points.double(), self.centres.to(points.device)).argmin(1)

    def draw(self, n: int, generator: torch.Generator) -> Points:
        """N points of p, on the CPU, in torch's default dtype."""
        return self.draw_labelled(n, generator)[0]

    def draw_labelled(self, n: int, generator: torch.Generator) -> tuple[Points, Labels]:
        """Likewise, with the component of each."""
        dtype = torch.get_default_dtype()
        components = torch.randint(len(self.centres), (n,), generator=generator)
        noise = torch.randn(n, *self.shape, generator=generator, dtype=dtype)
        return self.centres.to(dtype)[components] + self.sigma * noise, components

    def log_prob(self, x: Float[Tensor, "*n d"]) -> LogDensity:
        """Log p(x) in nats per point, in the dtype of x."""
        centres = self.centres.to(x)
        square = (x.unsqueeze(-2) - centres).square().sum(-1)  # a difference, not a norm's expansion: σ may be tiny
        volume = self.shape[0] * math.log(self.sigma * math.sqrt(2 * math.pi)) + math.log(len(centres))
        return torch.logsumexp(-square / (2 * self.sigma**2), -1) - volume

    def bounds(self, margin: float = 4.0) -> tuple[Tensor, Tensor]:
        """The corners of a box that reaches `margin` σ beyond the outermost centres."""
        reach = margin * self.sigma
        return self.centres.min(0).values - reach, self.centres.max(0).values + reach
