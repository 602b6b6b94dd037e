"""Samples from a loader of the user's, such as a DataLoader, in the order in which it gives them.

Its minibatches are no function of (seed, position): they are taken one after another, pass after pass. So a resumed run
begins a new pass, and each rank takes what its own loader gives, batch_size / ranks samples at a time. The last
minibatch of a pass is left out where it is not full, as that of all other data is.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from ganduel import rng
from ganduel.data.base import Data, normalise
from ganduel.data.check import check_values, is_image, non_finite
from ganduel.errors import UserError
from ganduel.ranks import has_several, mean_over_ranks
from ganduel.types import Labels, Samples


class LoaderData(Data):
    """What a loader gives: samples, or pairs of samples and labels; bytes, or floats, those of images in [−1, 1].

    Args:
        loader: gives minibatches of batch_size samples, on each rank of batch_size / ranks.
        classes: of the labels, from 0; None: labels are not looked at.
    """

    device = torch.device("cpu")

    def __init__(self, loader: Iterable[Any], classes: int | None = None):
        self.loader, self.classes = loader, classes
        self.position, self.passes = -1, 0
        self.iterator: Iterator[Any] = iter(())
        with rng.all_seeded("loader"):  # a look, which should not move the global generators
            iterator = iter(loader)
            first = next(iterator, None)
        if first is None or iterator is loader:
            reason = "ends after one pass" if iterator is loader else "gives no minibatch"
            raise UserError(f"the loader {reason}. Give one with data to begin again with, such as a DataLoader.")
        self.first, _ = self.parts(first)
        self.shape = tuple(self.first.shape[1:])
        dataset = getattr(loader, "dataset", None)
        self.size = len(dataset) if hasattr(dataset, "__len__") else None  # type: ignore[arg-type]

    @property
    def is_image(self) -> bool:
        return is_image(self.shape, self.first.dtype == torch.uint8)

    def check(self, seed: int, batch_size: int) -> None:
        check_values(self.first, "the loader's first minibatch")

    def examples(self, seed: int, n: int) -> Samples:
        return normalise(self.first[:n])

    def non_finite(self, seed: int, position: int, batch_size: int) -> None:
        return  # each minibatch has been looked at

    def to(self, device: torch.device) -> None:
        self.device = device

    def minibatch(
        self, seed: int, position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Samples, Labels | None]:
        if position != self.position:
            n = len(range(batch_size)[rows])
            first, self.position = self.position < 0, position
            self.latest = self.following(n, batch_size // n)
            if first:
                check_ranks(normalise(self.latest[0].to(self.device)))
        samples, labels = self.latest
        return normalise(samples.to(self.device)), None if labels is None else labels.to(self.device)

    def following(self, n: int, ranks: int) -> tuple[Tensor, Labels | None]:
        """The loader's next n samples and their labels."""
        for _ in range(2):  # what is left of a pass, and the next
            for batch in self.iterator:
                samples, labels = self.checked(batch)
                if len(samples) == n:
                    return samples, labels
                if next(self.iterator, None) is not None:  # it is not the last one, which may be smaller
                    raise mismatch(len(samples), n, ranks)
            self.begin_pass()
        raise mismatch(len(self.first), n, ranks)

    def begin_pass(self) -> None:
        if hasattr(sampler := getattr(self.loader, "sampler", None), "set_epoch"):  # those of ranks shuffle by it
            sampler.set_epoch(self.passes)  # type: ignore[union-attr]
        self.iterator, self.passes = iter(self.loader), self.passes + 1

    def checked(self, batch: Any) -> tuple[Tensor, Labels | None]:
        """Samples and labels of a minibatch, once they have been looked at."""
        samples, labels = self.parts(batch)
        if samples.shape[1:] != self.shape:
            raise UserError(f"the loader gives samples of shape {tuple(samples.shape[1:])} after some of {self.shape}.")
        if samples.is_floating_point() and (where := non_finite(samples)) is not None:
            raise UserError(f"the loader gives {where} in a minibatch of pass {self.passes}. Mend the data.")
        if labels is not None and not 0 <= labels.min() <= labels.max() < (self.classes or 0):
            found = f"{int(labels.min())} to {int(labels.max())}"
            raise UserError(f"the loader gives labels from {found}, and there are {self.classes} classes, from 0.")
        return samples, labels

    def parts(self, batch: Any) -> tuple[Tensor, Labels | None]:
        """The samples of a minibatch, and its labels if they are asked for."""
        parts = list(batch) if isinstance(batch, list | tuple) else [batch]
        if len(parts) not in ((1, 2) if self.classes is None else (2,)) or not isinstance(parts[0], Tensor):
            kind = f"{type(batch).__name__} of {len(parts)}" if len(parts) > 1 else type(batch).__name__
            wanted = "samples" if self.classes is None else "(samples, labels)"
            raise UserError(f"the loader gives a {kind}, and {wanted} are asked for. Convert it in its collate_fn.")
        samples = parts[0]
        if is_image(samples.shape[1:]) and not (samples.is_floating_point() or samples.dtype == torch.uint8):
            raise UserError(f"the loader gives images of {samples.dtype}. Give bytes, or floats in [−1, 1].")
        return samples, None if self.classes is None else class_numbers(parts[1], len(samples))


def class_numbers(labels: Any, n: int) -> Labels:
    """The labels of n samples, if that is what they are: of a one-hot row each number would be a label."""
    if not isinstance(labels, Tensor) or labels.shape != (n,) or labels.is_floating_point():
        kind = f"{labels.dtype} of shape {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise UserError(f"the loader gives labels as {kind}, and {n} whole numbers are asked for, one per sample.")
    return labels.long()


def check_ranks(samples: Samples) -> None:
    """Refuse ranks that all take the same samples: batch_size / ranks would be all that an update sees."""
    if has_several() and torch.allclose(samples, mean_over_ranks(samples)):
        advice = "Give its DataLoader a DistributedSampler"
        raise UserError(f"the loader gives each rank the same samples. {advice}, or each rank data of its own.")


def mismatch(samples: int, n: int, ranks: int) -> UserError:
    of = f" by each of {ranks} ranks" if ranks > 1 else ""
    advice = f"Try Batches(…, batch_size={samples * ranks})."
    return UserError(f"the loader gives {samples} samples at a time, and {n} are needed{of}. {advice}")
