"""Real samples: minibatches as a pure function of (seed, position).

Position p counts the minibatches that D has been given, k per iteration: iteration t takes p = t·k … t·k + k − 1.
An epoch is one pass over the data in an order of its own, drawn from (seed, "order", epoch); images that do not fill a
last minibatch wait for the next epoch's order. No state has to be saved for a resume, and each rank takes its rows of
the same global minibatch, so that the number of ranks changes no sample.

Every random draw of training data is made by a CPU generator and then moved to the training device: the same seed gives
the same samples on a CPU and on a GPU.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Int64
from torch import Tensor

from ganduel import rng
from ganduel.data.check import check_minibatch, checked, is_image, non_finite
from ganduel.errors import UserError
from ganduel.types import Labels, Samples

Split = Literal["train", "validation", "test"]


class Data(ABC):
    """A source of real samples.

    Attributes:
        shape: the shape of one sample: (channels, height, width) for images, with values in [−1, 1]; (d,) for points.
        size: the number of samples, or None if they are drawn from a density and never end.
        classes: the number of classes, numbered from 0; None if samples have no labels.
        features: the name of the features for metrics (ganduel.metric.features); None: those of colour images, or none;
            empty: none.
        splits: the parts that `reference` knows; metrics compare with "test" where there is one.
        licence: that of the samples, for the card of an exported generator; None: it is not known.
    """

    shape: tuple[int, ...]
    size: int | None = None
    classes: int | None = None
    features: str | None = None
    splits: tuple[Split, ...] = ("train",)
    licence: str | None = None

    @property
    def is_image(self) -> bool:
        """Whether a sample is an image, to be shown, and to be rounded to bytes where it is generated."""
        return is_image(self.shape)

    def to(self, device: torch.device) -> None:
        """Set the training device, on which minibatches are wanted; data held in memory are moved there."""
        return

    @abstractmethod
    def minibatch(
        self, seed: int, position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Samples, Labels | None]:
        """Samples and their class labels (None without classes) of minibatch `position`, on the training device.

        Args:
            seed: of the run.
            position: the number of minibatches before this one.
            batch_size: samples per minibatch, over all ranks together.
            rows: the local rows of a rank.
        """

    def minibatches(
        self, seeds: Sequence[int], position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor | None]:
        """`minibatch` for each of several seeds: samples (seed, batch, *shape) and labels (seed, batch) or None."""
        pairs = [self.minibatch(seed, position, batch_size, rows) for seed in seeds]
        labels = [y for _, y in pairs if y is not None]
        return torch.stack([x for x, _ in pairs]), torch.stack(labels) if labels else None

    def examples(self, seed: int, n: int) -> Samples:
        """N samples to be shown, or fewer."""
        return self.minibatch(seed, 0, n if self.size is None else min(n, self.size))[0]

    def check(self, seed: int, batch_size: int) -> None:
        """Refuse samples that no network can be trained on, and warn of others: here by the first minibatch."""
        samples, _ = self.minibatch(seed, 0, batch_size)
        check_minibatch(samples, self.shape, type(self).__name__)

    def non_finite(self, seed: int, position: int, batch_size: int) -> str | None:
        """Where samples of a minibatch are NaN or infinite, in words; None: nowhere."""
        return non_finite(self.minibatch(seed, position, batch_size)[0])

    def use_labels(self) -> None:
        """Show the labels that the samples have, where they are not shown by default: a condition asks for them."""
        raise UserError(f"{type(self).__name__} has no labels, which a condition needs. Use condition=none.")

    def draw_labels(self, n: int, generator: torch.Generator) -> Labels:
        """Labels for n generated samples, uniform over the classes, on the CPU."""
        assert self.classes is not None, f"{type(self).__name__} has no classes"
        return torch.randint(self.classes, (n,), generator=generator)

    def reference(self, split: Split, n: int, draw: int = 0) -> Tensor:
        """N distinct real samples of a split, on the CPU, as they are stored: bytes or points.

        Args:
            split: one of `splits`.
            n: the number of samples.
            draw: the index of the draw: each is another subset, where there are more than n.
        """
        raise UserError(f"{type(self).__name__} has no samples to compare with: it does not define reference().")

    def reference_labels(self, split: Split, n: int, draw: int = 0) -> Labels | None:
        """The classes of what `reference` gives for the same arguments; None if they have none."""
        return None

    def count(self, split: Split) -> int | None:
        """The most samples that `reference` has of a split; None: any number."""
        return None

    def remedy(self, n: int) -> str | None:
        """The option with which `reference` would have sets of n samples for metrics; None if there is none."""
        return None

    @cached_property
    def fingerprint(self) -> dict[str, Any] | None:
        """Number, shape and checksum of the samples, by which a resumed run knows its data; None if they never end."""
        return None

    def check_split(self, split: Split) -> None:
        """Refuse a split that these data do not have."""
        if split not in self.splits:
            raise UserError(f"{type(self).__name__} has no split {split}. It has: {', '.join(self.splits)}.")


class TensorData(Data):
    """Samples held in memory as one tensor.

    Args:
        samples: images (n, channels, height, width) of bytes, or of floats in [−1, 1]; or points (n, d).
        labels: the class of each sample, 0, 1, …; None: no classes.
        subset: the indices of the samples that are trained on; None: all.
    """

    device = torch.device("cpu")

    def __init__(
        self,
        samples: Tensor,
        labels: Int64[Tensor, " n"] | None = None,
        subset: Int64[Tensor, " size"] | None = None,
    ):
        self.samples, self.sample_labels = self.checked(samples), None
        self.subset = torch.arange(len(samples)) if subset is None else subset
        if labels is not None:
            self.set_labels(labels)
        self.shape = tuple(samples.shape[1:])
        self.size = len(self.subset)
        self._orders: dict[int, tuple[int, Tensor]] = {}  # per seed: the epoch last asked for, and its order

    def checked(self, samples: Tensor) -> Tensor:
        """The samples as they are stored, once all have been looked at."""
        return checked(samples, type(self).__name__)

    def set_labels(self, labels: Int64[Tensor, " n"], names: Sequence[str] = ()) -> None:
        """The class of each sample, and what the classes are called, if they have names."""
        assert len(labels) == len(self.samples) > 0, f"{len(labels)} labels for {len(self.samples)} samples"
        assert labels.min() >= 0, "labels are numbers from 0"
        self.sample_labels, self.class_names = labels, list(names)
        self.classes = int(labels.max()) + 1

    @property
    def is_image(self) -> bool:
        return is_image(self.shape, self.samples.dtype == torch.uint8)

    def check(self, seed: int, batch_size: int) -> None:
        return  # all samples have been looked at

    def to(self, device: torch.device) -> None:
        self.device, self.samples = device, self.samples.to(device)
        if self.sample_labels is not None:
            self.sample_labels = self.sample_labels.to(device)

    def minibatch(
        self, seed: int, position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Samples, Labels | None]:
        return self.take(self.indices(seed, position, batch_size)[rows])

    def minibatches(
        self, seeds: Sequence[int], position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor | None]:
        return self.take(torch.stack([self.indices(seed, position, batch_size)[rows] for seed in seeds]))

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """The samples of these indices and their labels, on the training device."""
        labels = None if self.sample_labels is None else self.sample_labels[indices].to(self.device)
        samples = rows_on(self.device, self.samples, indices.flatten()).unflatten(0, indices.shape)
        return normalise(samples), labels

    def indices(self, seed: int, position: int, batch_size: int) -> Tensor:
        """The indices of a minibatch's samples."""
        size = len(self.subset)
        if batch_size > size:
            raise UserError(f"batch_size={batch_size} is more than the {size} samples of the data. Try {size} or less.")
        epoch, batch_index = divmod(position, size // batch_size)
        return self.order(seed, epoch)[batch_index * batch_size : (batch_index + 1) * batch_size]

    @cached_property
    def fingerprint(self) -> dict[str, Any] | None:
        """Of the samples, and of labels apart: with and without a condition a run has the same samples."""
        return fingerprint(self.samples) | self.record_of(self.sample_labels)

    def record_of(self, labels: Int64[Tensor, " n"] | None) -> dict[str, Any]:
        """What a fingerprint says of labels: their checksum, and the names of the classes, if they have names."""
        if labels is None:
            return {}
        names = {"classes": self.class_names} if self.class_names else {}
        return {"labels": fingerprint(labels)["checksum"], **names}

    def reference(self, split: Split, n: int, draw: int = 0) -> Tensor:
        self.check_split(split)
        return self.rows_of(split, choose(self.count(split), split, n, draw))

    def reference_labels(self, split: Split, n: int, draw: int = 0) -> Labels | None:
        labels = self.labels_of(split)
        return None if labels is None else labels[choose(len(labels), split, n, draw)].cpu()

    def count(self, split: Split) -> int:
        return len(self.samples_of(split))

    def samples_of(self, split: Split) -> Tensor:
        """All samples of a split; without splits, the training samples."""
        return self.samples

    def rows_of(self, split: Split, indices: Int64[Tensor, " n"]) -> Tensor:
        """Some samples of a split, on the CPU."""
        return self.samples_of(split)[indices].cpu()

    def labels_of(self, split: Split) -> Labels | None:
        """The class of each sample of a split; None without classes."""
        return self.sample_labels

    def order(self, seed: int, epoch: int) -> Tensor:
        """The order in which an epoch takes the samples; the last one per seed is cached."""
        if seed not in self._orders or self._orders[seed][0] != epoch:
            order = torch.randperm(len(self.subset), generator=rng.generator(seed, "order", epoch))
            self._orders[seed] = epoch, self.subset[order].to(self.samples.device)
        return self._orders[seed][1]


def rows_on(device: torch.device, samples: Tensor, indices: Int64[Tensor, " n"]) -> Tensor:
    """Some samples, on a device.

    From the host to a GPU they go through pinned memory: the host does not wait for the copy, nor for the GPU's work
    before it, and gathers the next minibatch while this one is trained on.
    """
    if device.type != "cuda" or samples.device.type != "cpu":
        return samples.index_select(0, indices).to(device)
    host = torch.empty((len(indices), *samples.shape[1:]), dtype=samples.dtype, pin_memory=True)
    return torch.index_select(samples, 0, indices, out=host).to(device, non_blocking=True)


def fingerprint(samples: Tensor, *others: Tensor | None) -> dict[str, Any]:
    """Number and shape of the samples, and the SHA-256 of their bytes and those of others that belong to them."""
    digest = hashlib.sha256()
    for tensor in (samples, *others):
        if tensor is not None:
            digest.update(bytes_of(tensor))
    return {"samples": len(samples), "shape": list(samples.shape[1:]), "checksum": digest.hexdigest()[:16]}


def bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor's values, for a checksum."""
    return tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data


def choose(count: int, split: Split, n: int, draw: int) -> Int64[Tensor, " n"]:
    """Indices of n of so many samples, a pure function of (split, draw)."""
    if n > count:
        raise UserError(f"{n} samples of the split {split} are asked for, and it has {count}.")
    return torch.randperm(count, generator=rng.generator("reference", split, draw))[:n]


def normalise(samples: Tensor) -> Samples:
    """Bytes 0…255 to floats in [−1, 1]; floats keep their values. The result has torch's default type."""
    return samples.div(127.5).sub_(1) if samples.dtype == torch.uint8 else samples.to(torch.get_default_dtype())


def denormalise(samples: Tensor) -> Tensor:
    """Floats in [−1, 1] to bytes, by rounding; what lies outside is clamped."""
    return samples.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
