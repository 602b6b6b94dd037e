"""Random numbers as pure functions of what they are for.

    generator(seed, "noise", 41)      the noise of iteration 41 of the run with that seed, whenever it is asked for

Nothing is left to restore on resume but the number of the iteration, and one use of randomness cannot disturb another:
switching a metric on moves no draw of training. Keys are hashed by BLAKE2b, so that neighbouring seeds and steps
give unrelated streams.
"""

from collections.abc import Iterator
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


@contextmanager
def seeded(*key: int | str) -> Iterator[None]:
    """Code inside draws from the global generator as seeded by the key; outside nothing of it is seen.

    For libraries that take no generator, such as the initialisation of torch's layers.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(*key))  # torch.manual_seed would reseed the GPUs' for good
        yield
