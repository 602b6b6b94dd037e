"""Samples and their classes, as one."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganduel.types import Labels


@dataclass(frozen=True)
class LabelledSamples:
    """Samples as they are stored, and the class of each; None without classes."""

    samples: Tensor
    labels: Labels | None

    def __len__(self) -> int:
        return len(self.samples)

    def rows(self, rows: slice | Tensor) -> "LabelledSamples":
        """Some of them."""
        return LabelledSamples(self.samples[rows], None if self.labels is None else self.labels[rows])

    def split(self, n: int) -> "Iterator[LabelledSamples]":
        """Batches of n."""
        return (self.rows(slice(i, i + n)) for i in range(0, len(self), n))

    def to(self, device: torch.device) -> "LabelledSamples":
        return LabelledSamples(self.samples.to(device), None if self.labels is None else self.labels.to(device))
