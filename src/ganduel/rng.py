"""Random numbers as pure functions of what they are for.

    generator(seed, "order", 3)       the data's order in epoch 3 of the run with that seed, whenever it is asked for

Nothing has to be restored on resume but the number of the iteration, and one use of randomness cannot disturb another:
switching a metric on moves no draw of training. Keys are hashed by BLAKE2b, so that neighbouring seeds and steps
give unrelated streams. What is drawn before an update (noise, labels, the data's order) is drawn on the CPU, so that a
run sees the same on every device; what is drawn inside one (`Draws`) comes from the device's own generator.

Code that draws from global generators, as torch's own dropout does, gets those of a key: `seeded`, `all_seeded`.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_of(*key: int | str) -> int:
    """The 63-bit seed that a key stands for."""
    digest = blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator in the state that belongs to this key."""
    return torch.Generator(device).manual_seed(seed_of(*key))


class BlockCache:
    """What is drawn anew for each of 0, 1, 2, …, drawn for 32 of them at once: many small draws would cost more.

    Args:
        draw: makes block number b, with one entry for each of b · 32 … b · 32 + 31 in front; a function of b alone.
    """

    size = 32

    def __init__(self, draw: Callable[[int], Any]):
        self.draw = draw
        self.block_index: int | None = None  # of the block that is kept

    def __call__(self, i: int) -> Any:
        """The draw for number i."""
        block_index, offset = divmod(i, self.size)
        if block_index != self.block_index:
            self.block_index, self.block = block_index, self.draw(block_index)
        return self.block[offset]


class Draws:
    """Random numbers for the updates of one iteration: dropout masks, interpolates, augmentation.

    Seeded anew by each iteration, so that a resumed run draws the same; drawn for the global minibatch, of which each
    rank takes its rows, so that the number of ranks changes no draw.

    Args:
        device: where the numbers are made.
        batch_size: samples per minibatch, over all ranks.
        rows: the rows of a minibatch that are this rank's.

    Attributes:
        generator: the torch.Generator behind them, for an engine that captures it.
    """

    def __init__(self, device: torch.device | str, batch_size: int, rows: slice = slice(None)):
        self.generator = torch.Generator(device)
        self.batch_size, self.rows = batch_size, rows
        self.local = len(range(batch_size)[rows])

    def __deepcopy__(self, memo: Any) -> "Draws":
        return self  # a copy of a network draws from where the network does

    def seed(self, *key: int | str) -> None:
        """Begin the stream that belongs to the key."""
        self.generator.manual_seed(seed_of(*key))

    def uniform(self, x: Tensor) -> Tensor:
        """U(0, 1) in the shape, type and place of x, whose first dimension counts samples."""
        return self.fill(x, lambda values: values.uniform_(generator=self.generator))

    def normal(self, x: Tensor) -> Tensor:
        """N(0, 1), likewise."""
        return self.fill(x, lambda values: values.normal_(generator=self.generator))

    def bernoulli(self, x: Tensor, p: float) -> Tensor:
        """1 with probability p, else 0, likewise."""
        return self.fill(x, lambda values: values.bernoulli_(p, generator=self.generator))

    def fill(self, x: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
        """This rank's rows of whole minibatches; x may hold several, real samples above generated ones."""
        minibatches = -(-len(x) // self.local)  # rounded up: a D that packs samples has fewer rows
        values = draw(x.new_empty(minibatches, self.batch_size, *x.shape[1:]))
        return values[:, self.rows].flatten(0, 1)[: len(x)]


class KeyedRandom:
    """A module that draws at random in training, from the `draws` that the GAN gives it before the first update."""

    draws: Draws | None = None


@contextmanager
def seeded(*key: int | str, device: torch.device | str = "cpu") -> Iterator[None]:
    """Code inside draws from torch's global generators as seeded by the key; outside nothing of it is seen.

    Those of the CPU and of the device. It takes 10 µs, where torch.manual_seed takes 800 and reseeds all GPUs for good.
    """
    seed, generators, device = seed_of(*key), [torch.default_generator], torch.device(device)
    if device.type == "cuda":
        generators.append(torch.cuda.default_generators[device.index or 0])
    states = [each.get_state() for each in generators]
    for each in generators:
        each.manual_seed(seed)
    try:
        yield
    finally:
        for each, state in zip(generators, states, strict=True):
            each.set_state(state)


@contextmanager
def all_seeded(*key: int | str) -> Iterator[None]:
    """Likewise from torch's, numpy's and Python's: for what is built, and for a whole fit."""
    seed, python, numpy = seed_of(*key), random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one is meant
    random.seed(seed)
    np.random.seed(seed_of("numpy", *key) % 2**32)  # noqa: NPY002 - the two make the same numbers of the same seed
    try:
        with seeded(*key):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def host_states() -> dict[str, Any]:
    """The states of Python's and numpy's global generators, to compare; it takes a fraction of a millisecond."""
    numpy: Any = np.random.get_state()  # noqa: NPY002
    return {"Python": random.getstate(), "numpy": (numpy[1].tolist(), *numpy[2:])}
