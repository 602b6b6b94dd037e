"""A point at 0: the data of the Dirac-GAN, whose distribution is a Dirac delta and has no density.

All samples are equal, so that metrics of samples have nothing to say but how far the generated point is from 0, which
is its weight: none is computed unless it is asked for.
Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually converge?", definition 2.1
(arXiv:1801.04406).
"""

import torch

from ganduel.data.base import Data, Split
from ganduel.types import Labels, Points


class Dirac(Data):
    """The point 0 on the line."""

    licence = "none: samples are computed"
    shape = (1,)
    splits = ("train", "test")

    def __init__(self):
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> None:
        self.device = device

    def minibatch(
        self, seed: int, position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Points, Labels | None]:
        return torch.zeros(batch_size, 1, device=self.device)[rows], None

    def reference(self, split: Split, n: int, draw: int = 0) -> Points:
        self.check_split(split)
        return torch.zeros(n, 1)
