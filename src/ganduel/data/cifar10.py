"""CIFAR-10: 60,000 colour photographs of 32×32 pixels in ten classes, 50,000 for training and 10,000 for testing.

The published files, in either of their forms, in `dir` or a folder of the archive's name in it:

    cifar-10-batches-bin   data_batch_1.bin … 5, test_batch.bin: per image a byte for the class, and 3 × 1024 for red,
                           green, blue, each row by row
    cifar-10-batches-py    data_batch_1 … 5, test_batch: pickled dictionaries of the same arrays

Pickles run code when they are loaded as usual; here only arrays are let through.
Source: A. Krizhevsky 2009, "Learning multiple layers of features from tiny images". Its authors state no licence.
"""

import io
import pickle
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganduel.data.base import Split, TensorData
from ganduel.errors import UserError

ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar.html"
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
FILES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
FORMS = {"cifar-10-batches-bin": ".bin", "cifar-10-batches-py": ""}
HARMLESS = {("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}


class CIFAR10(TensorData):
    """The photographs.

    Args:
        dir: the folder with the published files, or with the folder that their archive holds.
    """

    splits = ("train", "test")

    def __init__(self, dir: str | None = None):
        if dir is None:
            raise UserError(f"data=cifar10 needs the folder of the published files: data.dir=FOLDER, from {ADDRESS}.")
        self.folder, self.suffix = located(Path(dir).expanduser())
        self.train_images, self.train_labels = self.read("train")
        super().__init__(self.train_images)

    def use_labels(self) -> None:
        """The ten kinds of things."""
        self.set_labels(self.train_labels)

    def samples_of(self, split: Split) -> Tensor:
        return self.samples if split == "train" else self.test_set[0]

    def labels_of(self, split: Split) -> Tensor | None:
        if self.classes is None:
            return None
        return self.train_labels if split == "train" else self.test_set[1]

    @cached_property
    def test_set(self) -> tuple[Tensor, Tensor]:
        return self.read("test")

    def read(self, split: Split) -> tuple[Tensor, Tensor]:
        """The images of a split, uint8 (n, 3, 32, 32), and their classes."""
        parts = [read(self.folder / f"{name}{self.suffix}") for name in FILES[split]]
        images, labels = (torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts, strict=True))
        return images.reshape(-1, *SHAPE), labels.long()


def located(folder: Path) -> tuple[Path, str]:
    """The folder that has all six files, and what their names end in."""
    for place in (folder, *(folder / name for name in FORMS)):
        for suffix in FORMS.values():
            if all((place / f"{name}{suffix}").is_file() for names in FILES.values() for name in names):
                return place, suffix
    raise UserError(
        f"data.dir={folder} does not hold CIFAR-10: data_batch_1.bin to 5 and test_batch.bin, or the same without .bin,"
        f" there or in {' or '.join(FORMS)}."
    )


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images of a file, as rows of bytes, and their classes."""
    try:
        images, labels = read_rows(path) if path.suffix == ".bin" else read_pickle(path)
    except (OSError, ValueError, KeyError, TypeError, EOFError, IndexError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} is not the published file of CIFAR-10: {error}.") from error
    if images.shape != (len(labels), 3072) or images.dtype != np.uint8 or not len(labels) or labels.max() > 9:
        raise UserError(f"{path} is not the published file of CIFAR-10: its arrays are of another shape or type.")
    return images, labels


def read_rows(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Of the binary form."""
    rows = np.fromfile(path, np.uint8)
    if rows.size % 3073:
        raise ValueError(f"{rows.size} bytes are not rows of 3,073")
    rows = rows.reshape(-1, 3073)
    return rows[:, 1:], rows[:, 0]


def read_pickle(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Of the Python form."""
    content = Arrays(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    return content[b"data"], np.array(content[b"labels"], np.uint8)


class Arrays(pickle.Unpickler):
    """Loads plain containers and numpy's arrays, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core.", "numpy._core.")  # as it was called when the files were written
        if (module, name) not in HARMLESS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)
