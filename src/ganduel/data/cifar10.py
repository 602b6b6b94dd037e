"""CIFAR-10: 60,000 colour photographs of 32×32 pixels in ten classes, 50,000 for training and 10,000 for testing.

The published files, in either of their forms, in `dir` or a folder of the archive's name in it:

    cifar-10-batches-bin   data_batch_1.bin … 5, test_batch.bin: per image a byte for the class, and 3 × 1024 for red,
                           green, blue, each row by row
    cifar-10-batches-py    data_batch_1 … 5, test_batch: pickled dictionaries of the same arrays

Pickles run code when they are loaded as usual; here only arrays are let through. Without `dir` the binary archive
(162 MB) is downloaded once into the user's cache, ~/.cache/ganduel/cifar10.
Source: A. Krizhevsky 2009, "Learning multiple layers of features from tiny images". Its authors state no licence.
"""

import hashlib
import io
import logging
import os
import pickle
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from ganduel.data.download import FAILURES, download, reason_of
from ganduel.data.labelled import LabelledSamples
from ganduel.data.parts import Parts
from ganduel.environment import cache_folder
from ganduel.errors import UserError

ADDRESS = "https://www.cs.toronto.edu/~kriz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # of the binary archive, as its page says
LARGEST = 2**28  # bytes of it
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
FILES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
BINARY = "cifar-10-batches-bin"
FORMS = {BINARY: ".bin", "cifar-10-batches-py": ""}
HARMLESS = {("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}

log = logging.getLogger("ganduel")


class CIFAR10(Parts):
    """The photographs.

    Args:
        dir: the folder with the published files, or with the folder that their archive holds; None: the user's cache.
        download: whether they may be downloaded into it, if they are not there.
    """

    licence = "none is stated by the authors of CIFAR-10"

    def __init__(self, dir: str | None = None, download: bool = True):
        folder = cached(download) if dir is None else located(Path(dir).expanduser())
        train, test = (part(folder, split) for split in FILES)
        super().__init__(train, test, NAMES)


def part(folder: Path, split: str) -> LabelledSamples:
    """The images of a split, uint8 (n, 3, 32, 32), and their classes."""
    suffix = suffix_in(folder)
    arrays = zip(*(read(folder / f"{name}{suffix}") for name in FILES[split]), strict=True)
    images, labels = (torch.from_numpy(np.concatenate(files)) for files in arrays)
    return LabelledSamples(images.reshape(-1, *SHAPE), labels.long())


def cached(may_download: bool) -> Path:
    """The folder in the user's cache, once it has the files."""
    cache = cache_folder("cifar10")
    if suffix_in(cache / BINARY) is not None:
        return cache / BINARY
    ways = f"Give the folder of its published files as data.dir= ({ADDRESS}/cifar.html)"
    if not may_download:
        raise UserError(f"CIFAR-10 is not on this machine. {ways}, or allow its download: data.download=true.")
    try:
        log.info("downloading CIFAR-10 (162 MB) to %s", cache)
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as own:  # a kill leaves no half of it, and other ranks may do so too
            archive = Path(own) / "cifar-10-binary.tar.gz"
            download(f"{ADDRESS}/{archive.name}", archive, LARGEST, check_archive)
            with tarfile.open(archive) as packed:
                for name in (f"{name}{FORMS[BINARY]}" for names in FILES.values() for name in names):
                    packed.extract(f"{BINARY}/{name}", own, filter="data")
            with suppress(OSError):  # another rank was faster
                os.rename(Path(own) / BINARY, cache / BINARY)
    except (*FAILURES, tarfile.TarError) as error:
        raise UserError(
            f"CIFAR-10 is not on this machine. {ways}, or try its download to {cache} again, which failed: "
            f"{reason_of(error)}."
        ) from error
    return located(cache)


def check_archive(path: Path) -> None:
    """Refuse another file than the published one."""
    with open(path, "rb") as file:
        if hashlib.file_digest(file, "md5").hexdigest() != MD5:
            raise UserError("it has another checksum")


def suffix_in(folder: Path) -> str | None:
    """What the names of the files end in that are in a folder; None if one is missing in either form."""
    names = [name for files in FILES.values() for name in files]
    return next((end for end in FORMS.values() if all((folder / f"{name}{end}").is_file() for name in names)), None)


def located(folder: Path) -> Path:
    """The folder that has all six files."""
    for place in (folder, *(folder / name for name in FORMS)):
        if suffix_in(place) is not None:
            return place
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
