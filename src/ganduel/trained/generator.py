"""A trained generator, to draw samples from.

Sample i is a pure function of the weights, the seed and i: its z is row i mod 1,000 of a block drawn on the CPU from
(seed, "sample", i div 1,000), its class, if G takes labels, is that of the labels in turn, and G runs on batches of one
fixed size. So n = 10 gives the first 10 of n = 100.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ganduel import rng
from ganduel.errors import UserError, nearest
from ganduel.image_grid import generate_stored
from ganduel.model.base import Generator
from ganduel.trained.interpolate import interpolate
from ganduel.types import Labels, Noise

BLOCK = 1000  # z per draw; another value gives other samples
BATCH = 100  # samples per forward pass, always that many: the last bits of a sum depend on it
STEPS = 10  # samples of a walk, both ends included
LOCK = threading.Lock()  # a G that takes labels may keep those of the batch that is passing

Classes: TypeAlias = int | str | Iterable[int | str] | Tensor | np.ndarray | np.generic  # numbers or names


@dataclass(frozen=True)
class TrainedGenerator:
    """The generator of a run or a checkpoint; samples that are images are bytes, all others float32, on the CPU.

    Attributes:
        generator: G or its average in evaluation mode: z (batch, noise_dim), and labels if it takes any, to samples.
        config: the config of its run.
        shape: of one sample.
        image: whether that is an image.
        iteration: the number of iterations of its training.
        name: which weights these are, in words.
        class_names: what the data's classes are called, where they have names.
    """

    generator: Generator = field(repr=False)
    config: Mapping[str, Any] = field(repr=False)
    shape: tuple[int, ...]
    image: bool
    iteration: int
    name: str
    class_names: Sequence[str] = ()

    @property
    def classes(self) -> int | None:
        """The number of classes that it can be asked for; None if it takes no labels."""
        return getattr(self.generator, "classes", None)

    def sample(self, n: int, seed: int = 0, labels: Classes | None = None, truncation: float | None = None) -> Tensor:
        """The first n samples of a seed, (n, *shape): those of `ganduel sample`.

        Args:
            n: how many.
            seed: of the noise.
            labels: the classes that they have in turn, or the one that all have, by number or name; None: all in turn.
            truncation: see `truncated`; None: all of the noise.
        """
        return torch.cat(list(self.truncated(truncation).batches(n, seed, labels)))

    def interpolate(
        self,
        n: int,
        steps: int = STEPS,
        seed: int = 0,
        labels: Classes | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """N walks from one z to another, (n, steps, *shape); each keeps its class. Arguments as in `sample`."""
        walks = torch.cat(list(self.truncated(truncation).walks(n, steps, seed, labels)))
        return walks.unflatten(0, (n, steps))

    def truncated(self, truncation: float | None) -> "TrainedGenerator":
        """The same with samples that are more typical and less varied: see `Generator.truncated`; None: as it is."""
        return self if truncation is None else replace(self, generator=self.generator.truncated(truncation))

    def batches(self, n: int, seed: int = 0, labels: Classes | None = None, batch: int = BATCH) -> Iterator[Tensor]:
        """The samples of `sample`, a batch at a time."""
        classes = self.class_numbers(labels)
        for start in range(0, check_number(n), BLOCK):
            for i, z in enumerate(self.block(start // BLOCK, seed).split(batch)):
                first = start + i * batch
                if first >= n:
                    return
                yield self.generate(z, in_turn(classes, len(z), first))[: n - first]

    def walks(self, n: int, steps: int = STEPS, seed: int = 0, labels: Classes | None = None) -> Iterator[Tensor]:
        """The samples of `interpolate`, one walk after another, a batch at a time."""
        if steps < 2:
            raise UserError(f"{steps} steps are no walk: there must be at least 2.")
        ends, y = self.noise(2 * check_number(n), seed), in_turn(self.class_numbers(labels), n)
        z = interpolate(self.generator, ends[0::2], ends[1::2], torch.linspace(0, 1, steps)).flatten(0, 1)
        y = None if y is None else y.repeat_interleave(steps)
        for start in range(0, len(z), BATCH):
            rows = slice(start, start + BATCH)
            yield self.generate(z[rows], None if y is None else y[rows])

    def noise(self, n: int, seed: int = 0) -> Noise:
        """The z of the first n samples of a seed."""
        return torch.cat([self.block(i, seed) for i in range(-(-n // BLOCK))])[:n]

    def block(self, number: int, seed: int) -> Noise:
        """The z of a block of samples; always of all, since torch draws fewer numbers in another way."""
        return self.generator.draw(BLOCK, rng.generator(seed, "sample", number))

    def generate(self, z: Noise, y: Labels | None = None) -> Tensor:
        """The samples for z: images as bytes, all else as float32."""
        name = f"{self.name} at iteration {self.iteration:,}"
        with LOCK, torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False):
            return generate_stored(self.generator, z, self.shape, self.image, BATCH, name, y)

    def class_numbers(self, labels: Classes | None) -> Tensor | None:
        """The numbers of classes that are given by number or name; None: those of all; None without classes."""
        if labels is None:
            return None if self.classes is None else torch.arange(self.classes)
        values = labels.tolist() if isinstance(labels, Tensor | np.ndarray | np.generic) else labels
        labels = [values] if isinstance(values, int | str) else [*values]
        if not labels:
            raise UserError("labels: there are none in the list. Leave it out for all classes in turn.")
        return torch.tensor([self.class_number(label) for label in labels])

    def class_number(self, label: int | str) -> int:
        """The number of a class that the generator knows, by number or name."""
        classes, text = self.classes, str(label)
        if classes is None:
            raise UserError(f"class {text}: the generator was trained without labels. Train with condition=concat.")
        if isinstance(label, str) and text in self.class_names:
            return self.class_names.index(text)
        if not text.isdecimal() or int(text) >= classes:
            names = f" {nearest(text, filter(str.isprintable, self.class_names))}" if self.class_names else ""
            raise UserError(f"class {text}: there are {classes} classes, 0 to {classes - 1}.{names}")
        return int(text)


def check_number(n: int) -> int:
    """The number of samples, or of walks."""
    if n < 1:
        raise UserError(f"n={n}: there must be at least 1.")
    return n


def in_turn(classes: Tensor | None, n: int, start: int = 0) -> Labels | None:
    """The labels of n samples from number `start` on, which take the classes in turn."""
    return None if classes is None else classes[torch.arange(start, start + n) % len(classes)]
