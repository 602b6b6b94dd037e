"""Three random digits of MNIST as the red, green and blue of one image: 1,000 modes that can be counted.

    x = (a, b, c)     a, b, c drawn from the digits, independently and with replacement
    class of x        100 · class(a) + 10 · class(b) + class(c), in 0 … 999; all about equally likely

Stacks are made on the training device when they are asked for, not stored: minibatch number `position` is a function
of (seed, "stack", position), drawn on the CPU, so that there is no epoch and no end.
Source: Metz et al. 2016 (Unrolled GAN, arXiv:1611.02163), section 3.3.1; Srivastava et al. 2017 (VEEGAN,
arXiv:1705.07761), table 2.
"""

from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from ganduel import rng
from ganduel.data.base import Data, Split, normalise
from ganduel.data.mnist import MNIST, TrainOn
from ganduel.types import Bytes, Images, Labels


class StackedMNIST(Data):
    """Stacks of three digits.

    Args:
        dir: a folder with IDX files to read instead of MNIST's.
        train_on: the digits that stacks are made of in training, as for MNIST.
    """

    licence = "CC BY-SA 3.0, that of MNIST"
    features = "mnist_cnn_rgb"
    splits = MNIST.splits
    modes = 1000

    def __init__(self, dir: str | None = None, train_on: TrainOn = "train+validation"):
        self.digits = MNIST(dir, train_on)
        self.shape = (3, *self.digits.shape[1:])

    def to(self, device: torch.device) -> None:
        self.digits.to(device)

    def minibatch(
        self, seed: int, position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Images, Labels | None]:
        digits = self.digits.samples
        indices = draw_indices(len(digits), batch_size, rng.generator(seed, "stack", position))
        return normalise(stack(digits, indices[rows].to(digits.device))), None

    @cached_property
    def fingerprint(self) -> dict[str, Any] | None:
        """Of the digits that stacks are made of."""
        return self.digits.fingerprint

    def reference(self, split: Split, n: int, draw: int = 0) -> Bytes:
        """N stacks of a split's digits, on the CPU; of so many possible ones, none is likely to come twice."""
        self.check_split(split)
        digits = self.digits.images(split)
        return stack(digits, draw_indices(len(digits), n, rng.generator("reference", split, draw)))

    def labels(self, split: Split, n: int, draw: int = 0) -> Int64[Tensor, " n"]:
        """The classes 0 … 999 of what `reference` gives for the same arguments."""
        self.check_split(split)
        digits = self.digits.labels(split)
        indices = draw_indices(len(digits), n, rng.generator("reference", split, draw))
        return digits[indices] @ torch.tensor([100, 10, 1])


def draw_indices(size: int, n: int, generator: torch.Generator) -> Int64[Tensor, "n 3"]:
    """The indices, out of `size` digits, of the channels of n stacks."""
    return torch.randint(size, (n, 3), generator=generator)


def stack(
    digits: UInt8[Tensor, "size 1 height width"], indices: Int64[Tensor, "n 3"]
) -> UInt8[Tensor, "n 3 height width"]:
    """The digits of each row of indices as the channels of an image."""
    return digits[indices].squeeze(2)
