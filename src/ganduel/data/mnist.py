"""MNIST: 70,000 handwritten digits of 28×28 pixels, shipped with the package.

    train       the first 50,000 of the 60,000 training images
    validation  the last 10,000 of them
    test        10,000 images of other writers

Of another set in such files, validation is the last sixth of the training images, or 10,000 if that is fewer.
Training uses all 60,000 unless told `train_on=train`. Grey values 0…255 become [−1, 1].
Source: Y. LeCun, C. Cortes, C. Burges; licence CC BY-SA 3.0, see `assets/mnist/LICENSE.md`.
"""

from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor

from ganduel.data import base, idx
from ganduel.data.base import TensorData
from ganduel.errors import UserError

ASSETS = Path(__file__).parent / "assets" / "mnist"
MD5 = {  # of the unzipped files
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
VALIDATION = 10_000

Split = base.Split | Literal["train+validation"]
TrainOn = Literal["train", "train+validation"]


class MNIST(TensorData):
    """The digits, or another set in the same four IDX files.

    Args:
        dir: a folder with IDX files to read instead of the shipped ones.
        train_on: "train+validation" for all training images, or "train" to keep the last sixth for validation.
    """

    licence = "CC BY-SA 3.0"
    features: str | None = "mnist_cnn"
    splits = ("train", "validation", "test")
    published = "the MNIST that is shipped"
    checksums = MD5

    def __init__(self, dir: str | None = None, train_on: TrainOn = "train+validation"):
        if train_on not in get_args(TrainOn):
            raise UserError(f"data.train_on={train_on} is not known. There are: {', '.join(get_args(TrainOn))}.")
        self.user_files = dir is not None
        self.folder = self.locate() if dir is None else Path(dir).expanduser()
        if not self.folder.is_dir():
            raise UserError(f"data.dir={dir} is not a folder. Leave it out to use {self.published}.")
        self.train_on: TrainOn = train_on
        super().__init__(self.images(train_on))

    def use_labels(self) -> None:
        """The digits, or the kinds of clothes."""
        self.set_labels(self.labels(self.train_on))

    def locate(self) -> Path:
        """The folder with the published files, whose checksums must be those above."""
        return ASSETS

    def images(self, split: Split) -> Tensor:
        """The images of a split, uint8 (n, 1, height, width)."""
        if split == "test":
            return self._test_images.unsqueeze(1)
        return part(self._train_images, split).unsqueeze(1)

    def labels(self, split: Split) -> Tensor:
        """The digits of a split, int64 (n,)."""
        if split == "test":
            return self._read("t10k-labels-idx1-ubyte", 1).long()
        return part(self._read("train-labels-idx1-ubyte", 1), split).long()

    def samples_of(self, split: base.Split) -> Tensor:
        return self.images(split)

    def labels_of(self, split: base.Split) -> Tensor | None:
        return None if self.classes is None else self.labels(split)

    @cached_property
    def _train_images(self) -> Tensor:
        images = self._read("train-images-idx3-ubyte", 3)
        if len(images) == 0:
            raise UserError(f"{self.folder} holds no training images: train-images-idx3-ubyte is empty.")
        return images

    @cached_property
    def _test_images(self) -> Tensor:
        return self._read("t10k-images-idx3-ubyte", 3)

    def _read(self, name: str, dimensions: int) -> Tensor:
        path = idx.find(self.folder, name)
        values = idx.read(path, None if self.user_files else self.checksums[name])
        if values.ndim != dimensions:
            raise UserError(f"{path} holds an array of shape {tuple(values.shape)}, not of {dimensions} dimensions.")
        return values


def part(rows: Tensor, split: Split) -> Tensor:
    """The rows of the training files that belong to a split."""
    if split == "train+validation":
        return rows
    training = len(rows) - min(VALIDATION, len(rows) // 6)
    return rows[:training] if split == "train" else rows[training:]
