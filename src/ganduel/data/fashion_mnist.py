"""Fashion-MNIST: 70,000 pictures of clothes in the size, number and files of MNIST, but harder.

The files are not shipped. They are looked for in the folder of Debian's package `dataset-fashion-mnist`, then in
the user's cache, ~/.cache/ganduel/fashion_mnist ($GANDUEL_CACHE or $XDG_CACHE_HOME say another); if neither has them,
they are downloaded once into the latter from the data set's address: 30 MB. Splits are MNIST's.
Source: Xiao, Rasul, Vollgraf 2017, "Fashion-MNIST" (arXiv:1708.07747), Zalando SE; licence MIT.
"""

import logging
from functools import partial
from pathlib import Path

from ganduel.data import idx
from ganduel.data.download import FAILURES, download, reason_of
from ganduel.data.mnist import MNIST, TrainOn
from ganduel.environment import cache_folder
from ganduel.errors import UserError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
LARGEST = 2**26  # bytes; the largest of the files has 26 million
MD5 = {  # of the unzipped files
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}

log = logging.getLogger("ganduel")


class FashionMNIST(MNIST):
    """The clothes.

    Args:
        dir: the folder with the four IDX files, instead of a search.
        train_on: "train+validation" for all training images, or "train" to keep the last sixth for validation.
        download: whether the files may be downloaded if they are not on this machine.
    """

    licence = "MIT"
    features = "fashion_cnn"
    published = "the published Fashion-MNIST"
    checksums = MD5

    def __init__(self, dir: str | None = None, train_on: TrainOn = "train+validation", download: bool = True):
        self.download = download
        super().__init__(dir, train_on)

    def locate(self) -> Path:
        cache = cache_folder("fashion_mnist")
        for folder in (DEBIAN, cache):
            if not missing(folder):
                return folder
        ways = "Give its folder as data.dir=, or install the Debian package dataset-fashion-mnist"
        if not self.download:
            raise UserError(f"Fashion-MNIST is not on this machine. {ways}, or allow its download: data.download=true.")
        try:
            log.info("downloading Fashion-MNIST (30 MB) to %s", cache)
            for name in missing(cache):
                download(f"{ADDRESS}/{name}.gz", cache / f"{name}.gz", LARGEST, partial(idx.read, md5=MD5[name]))
        except FAILURES as error:
            raise UserError(
                f"Fashion-MNIST is not on this machine. {ways}, or try its download to {cache} again, "
                f"which failed: {reason_of(error)}."
            ) from error
        return cache


def missing(folder: Path) -> list[str]:
    """The names of the files that a folder lacks."""
    return [name for name in MD5 if not (folder / name).is_file() and not (folder / f"{name}.gz").is_file()]
