"""Random numbers as pure functions of what they are for.

    generator(seed, "order", 3)       the data's order in epoch 3 of the run with that seed, whenever it is asked for

Nothing is left to restore on resume but the number of the iteration, and one use of randomness cannot disturb another:
switching a metric on moves no draw of training. Keys are hashed by BLAKE2b, so that neighbouring seeds and steps
give unrelated streams.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b

import torch


def seed_of(*key: int | str) -> int:
    """The 63-bit seed that a key stands for."""
    digest = blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator in the state that belongs to this key."""
    return torch.Generator(device).manual_seed(seed_of(*key))


class Blocks:
    """What is drawn anew for each of 0, 1, 2, …, drawn for 32 of them at once: small draws take longer to ask for.

    Args:
        draw: makes block number b, with one entry for each of b · 32 … b · 32 + 31 in front; a function of b alone.
    """

    size = 32

    def __init__(self, draw: Callable[[int], torch.Tensor]):
        self.draw = draw
        self.number: int | None = None  # of the block that is kept

    def __call__(self, i: int) -> torch.Tensor:
        """The draw for number i."""
        number, place = divmod(i, self.size)
        if number != self.number:
            self.number, self.block = number, self.draw(number)
        return self.block[place]


@contextmanager
def seeded(*key: int | str) -> Iterator[None]:
    """Code inside draws from the global generator as seeded by the key; outside nothing of it is seen.

    For libraries that take no generator, such as the initialisation of torch's layers.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(*key))  # torch.manual_seed would reseed the GPUs' for good
        yield
