"""Where real samples come from: minibatches as a pure function of (seed, position).

Position p counts the minibatches that D has been given, k an iteration: iteration t takes p = t·k … t·k + k − 1.
An epoch is one pass over the data in an order of its own, drawn from (seed, "order", epoch); images that do not fill a
last minibatch wait for the next epoch's order. Nothing is to be saved for a resume, and a rank cuts its share out of
the same global minibatch, so that the number of ranks changes no sample.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ganduel import rng
from ganduel.errors import UserError
from ganduel.types import Samples

Split = Literal["train", "validation", "test"]


class Data(ABC):
    """A source of real samples.

    Attributes:
        shape: the shape of one sample: (channels, height, width) for images, with values in [−1, 1]; (d,) for points.
        size: how many samples there are, or None if they are drawn from a density and never end.
        features: the name of what metrics see of a sample (ganduel.metric.features): None, if nothing is known to fit.
        splits: the parts that `reference` knows; metrics compare with "test" where there is one.
    """

    shape: tuple[int, ...]
    size: int | None = None
    features: str | None = None
    splits: tuple[Split, ...] = ("train",)

    def to(self, device: torch.device) -> None:
        """Move what is held in memory to the training device; nothing, for data that are drawn there."""
        return

    @abstractmethod
    def minibatch(self, seed: int, position: int, batch_size: int, share: slice = slice(None)) -> Samples:
        """The samples of minibatch number `position`, or the given share of its rows, on the training device."""

    def minibatches(self, seeds: Sequence[int], position: int, batch_size: int, share: slice = slice(None)) -> Tensor:
        """`minibatch` for each of several seeds, (seed, batch, *shape)."""
        return torch.stack([self.minibatch(seed, position, batch_size, share) for seed in seeds])

    def reference(self, split: Split, n: int, draw: int = 0) -> Tensor:
        """N different real samples of a split, on the CPU, as they are stored: bytes or points.

        Args:
            split: one of `splits`.
            n: how many.
            draw: another number makes another choice, where there are more than n.
        """
        raise UserError(f"{type(self).__name__} has no samples to compare with: it does not define reference().")

    def check_split(self, split: Split) -> None:
        """Refuse a split that these data do not have."""
        if split not in self.splits:
            raise UserError(f"{type(self).__name__} has no split {split}. It has: {', '.join(self.splits)}.")


class TensorData(Data):
    """Samples held in memory as one tensor: uint8 images, or points as they are."""

    def __init__(self, samples: Tensor):
        self.samples = samples
        self.shape = tuple(samples.shape[1:])
        self.size = len(samples)
        self._orders: dict[int, tuple[int, Tensor]] = {}  # of each seed the epoch last asked for, and its order

    def to(self, device: torch.device) -> None:
        self.samples = self.samples.to(device)

    def minibatch(self, seed: int, position: int, batch_size: int, share: slice = slice(None)) -> Samples:
        return normalise(self.samples.index_select(0, self.rows(seed, position, batch_size)[share]))

    def minibatches(self, seeds: Sequence[int], position: int, batch_size: int, share: slice = slice(None)) -> Tensor:
        rows = torch.stack([self.rows(seed, position, batch_size)[share] for seed in seeds])
        return normalise(self.samples.index_select(0, rows.flatten()).unflatten(0, rows.shape))

    def rows(self, seed: int, position: int, batch_size: int) -> Tensor:
        """Which of the samples a minibatch has."""
        size = len(self.samples)
        if batch_size > size:
            raise UserError(f"batch_size={batch_size} is more than the {size} samples of the data. Try {size} or less.")
        epoch, place = divmod(position, size // batch_size)
        return self.order(seed, epoch)[place * batch_size : (place + 1) * batch_size]

    def reference(self, split: Split, n: int, draw: int = 0) -> Tensor:
        self.check_split(split)
        return choose(self.samples_of(split), split, n, draw).cpu()

    def samples_of(self, split: Split) -> Tensor:
        """All samples of a split; of data that are not divided, those that are trained on."""
        return self.samples

    def order(self, seed: int, epoch: int) -> Tensor:
        """The order in which an epoch takes the samples; the last one asked for is kept."""
        if seed not in self._orders or self._orders[seed][0] != epoch:
            order = torch.randperm(len(self.samples), generator=rng.generator(seed, "order", epoch))
            self._orders[seed] = epoch, order.to(self.samples.device)
        return self._orders[seed][1]


def choose(samples: Tensor, split: Split, n: int, draw: int) -> Tensor:
    """N different ones of the samples, a pure function of (split, draw)."""
    if n > len(samples):
        raise UserError(f"{n} samples of the split {split} are asked for, and it has {len(samples)}.")
    return samples[torch.randperm(len(samples), generator=rng.generator("reference", split, draw))[:n]]


def normalise(samples: Tensor) -> Samples:
    """Bytes 0…255 to floats in [−1, 1]; floats keep their values. The result has torch's default type."""
    return samples.div(127.5).sub_(1) if samples.dtype == torch.uint8 else samples.to(torch.get_default_dtype())


def denormalise(samples: Tensor) -> Tensor:
    """Floats in [−1, 1] to bytes, by rounding; what lies outside is clamped."""
    return samples.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
