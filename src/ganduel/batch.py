"""What iteration t sees: real samples, labels and noise for k updates of D and one of G, a pure function of (seed, t).

    real      minibatches t·k … t·k + k − 1 of the data's order, a function of (seed, "order", epoch)
    noise     k + 1 minibatches, from (seed, "noise", t div 32)
    labels    of generated samples from (seed, "labels", t div 32); None where the data have no classes
    draws     of what is random inside an update, from (seed, "update", t)
    global    torch's global generators, for parts that draw from these, from (seed, "global", t, rank)

So a resumed run takes the steps that it would have taken, and with several ranks each cuts its rows out of the same
global minibatch. Noise and labels are drawn on the CPU: the device changes none of them.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from operator import call
from typing import Any

import torch
from torch import Tensor, nn

from ganduel import rng
from ganduel.data.base import Data
from ganduel.model.base import keyed_layers
from ganduel.rng import BlockCache, Draws
from ganduel.types import Noise

Outputs = dict[str, Tensor]  # what an iteration returns: losses, gradient norms, logits


@dataclass(frozen=True)
class Minibatch:
    """What one update sees.

    Attributes:
        real: real samples, (batch, *shape); in G's update those of D's last.
        labels: their classes, (batch,); None without classes.
        noise: z of the generated samples, (batch, noise_dim).
        fake_labels: the classes that they are generated for, (batch,); None without classes.
        draws: for what is random inside the update.
    """

    real: Tensor
    labels: Tensor | None
    noise: Tensor
    fake_labels: Tensor | None
    draws: Draws


@dataclass(frozen=True)
class Batch:
    """What one iteration sees: a minibatch for each of D's k updates, and one for G's."""

    discriminator: tuple[Minibatch, ...]
    generator: Minibatch


Due = tuple[nn.Module, ...]  # the penalties that an iteration's updates have
Engine = Callable[[Callable[[Batch, Due], Outputs], Batch, Due], Outputs]  # runs the updates of a batch
eager: Engine = call  # type: ignore[assignment]  # a call without a frame of its own, for whoever debugs a step


def discriminate(output: Callable[..., Tensor], b: Minibatch, fake: Tensor, mixes_samples: bool) -> Sequence[Tensor]:
    """D's output for real and generated samples: in one pass, unless D mixes the samples of a batch."""
    if mixes_samples:
        return output(b.real, b.labels), output(fake, b.fake_labels)
    dim = b.noise.ndim - 2  # of samples, behind that of a population's members
    x = torch.cat([b.real.to(fake.dtype), fake], dim)  # autocast would widen it, and narrow it again
    y = None if b.labels is None or b.fake_labels is None else torch.cat([b.labels, b.fake_labels], dim)
    return output(x, y).chunk(2, dim)


class Batches:
    """The batch of each iteration.

    Args:
        data: the real samples.
        draw_noise: n draws of z from a generator of random numbers, (n, noise_dim).
        k: updates of D per iteration.
        batch_size: samples per minibatch, over all ranks.
        seed: of the data's order, the noise and all else that is drawn.
    """

    def __init__(
        self,
        data: Data,
        draw_noise: Callable[[int, torch.Generator], Noise],
        k: int = 1,
        batch_size: int = 64,
        seed: int = 0,
    ):
        self.data, self.draw_noise = data, draw_noise
        self.k, self.batch_size, self.seed = k, batch_size, seed
        self.to(torch.device("cpu"))
        data.check(seed, batch_size)

    def to(self, device: torch.device, rank: int = 0, world_size: int = 1) -> None:
        """Move to the training device; of each minibatch take the rows of one rank."""
        rows = self.batch_size // world_size
        self.device, self.rank, self.rows = device, rank, slice(rank * rows, (rank + 1) * rows)
        self.data.to(device)
        self.draws = Draws(device, self.batch_size, self.rows)
        self.noise, self.fake_labels = BlockCache(self.noise_block), BlockCache(self.label_block)

    def attach(self, module: Any, rank: int, world_size: int) -> None:
        """Move to the device of a LightningModule, whose layers that draw are to draw from `draws`."""
        self.to(module.device, rank, world_size)
        for layer in keyed_layers(module):
            layer.draws = self.draws

    def __call__(self, t: int) -> Batch:
        """The batch of iteration t."""
        real = [self.data.minibatch(self.seed, t * self.k + j, self.batch_size, self.rows) for j in range(self.k)]
        real.append(real[-1])  # G's update looks at the real samples of D's last
        noise = self.noise(t)[:, self.rows]
        fake_labels = [None] * (self.k + 1) if self.data.classes is None else self.fake_labels(t)[:, self.rows]
        self.seed_draws(t)
        minibatches = [Minibatch(x, y, noise[j], fake_labels[j], self.draws) for j, (x, y) in enumerate(real)]
        return Batch(tuple(minibatches[:-1]), minibatches[-1])

    def non_finite(self, t: int) -> str | None:
        """Where real samples of iteration t, over all ranks, are NaN or infinite, in words; None: nowhere."""
        positions = range(t * self.k, (t + 1) * self.k)
        return next(filter(None, (self.data.non_finite(self.seed, p, self.batch_size) for p in positions)), None)

    def seed_draws(self, t: int, purpose: str = "update") -> None:
        """Begin the draws of iteration t; those of another purpose are unrelated."""
        self.draws.seed(self.seed, purpose, t)

    def seeded(self, t: int) -> AbstractContextManager[None]:
        """Inside, parts that draw from torch's global generators draw those of iteration t."""
        return rng.seeded(self.seed, "global", t, self.rank, device=self.device)

    @property
    def iterations_per_epoch(self) -> int | None:
        """Iterations in which D sees all samples once, rounded up; None for data that never end."""
        size = self.data.size
        return None if size is None else math.ceil(max(1, size // self.batch_size) / self.k)

    def noise_block(self, block: int) -> Tensor:
        """The noise of all ranks for a block of iterations, (iterations, k + 1, batch_size, noise_dim)."""
        noise = self.draw_noise(math.prod(self.block_shape), rng.generator(self.seed, "noise", block))
        return noise.unflatten(0, self.block_shape).to(self.device)

    def label_block(self, block: int) -> Tensor:
        """The labels of generated samples for a block of iterations, (iterations, k + 1, batch_size)."""
        labels = self.data.draw_labels(math.prod(self.block_shape), rng.generator(self.seed, "labels", block))
        return labels.unflatten(0, self.block_shape).to(self.device)

    @property
    def block_shape(self) -> tuple[int, int, int]:
        return BlockCache.size, self.k + 1, self.batch_size
