"""Images of tar files in the form of WebDataset: NAME.jpg, and the class NAME.cls beside it, in any number of shards.

    data=webdataset data.dir=FOLDER                     all .tar files in it, in the order of their names

The images are made into one shape, as those of data=images, and held in memory; a tenth of them is held out. Classes
are numbers from 0. Tar files are read by Python itself, by nothing that would start a program or load a pickle.
Source: https://github.com/webdataset/webdataset, "The WebDataset format".
"""

import tarfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from ganduel.data.decode import Fit, PixelFormat, read
from ganduel.data.images import pixel_format
from ganduel.data.labelled import LabelledSamples
from ganduel.data.parts import Parts, divided
from ganduel.errors import UserError, printable

IMAGES = ("jpg", "jpeg", "png", "webp", "bmp", "ppm", "pgm")  # suffixes


class WebDataset(Parts):
    """The images.

    Args:
        dir: the folder with the tar files, or one of these.
        size, channels, fit, background: as of data=images.
    """

    def __init__(
        self,
        dir: str | None = None,
        size: int | Sequence[int] = 32,
        channels: int = 3,
        fit: Fit = "crop",
        background: str = "white",
    ):
        if dir is None:
            raise UserError("data=webdataset needs a folder with tar files: type data.dir=FOLDER as well.")
        form = pixel_format(size, channels, fit, background, 8)
        folder = Path(dir).expanduser()
        shards = sorted(folder.glob("*.tar")) if folder.is_dir() else [folder] if folder.is_file() else []
        if not shards:
            raise UserError(f"data.dir={dir} holds no .tar file.")
        samples = [sample for shard in shards for sample in samples_of(shard, form)]
        if not samples:
            raise UserError(f"data.dir={dir}: the {len(shards)} tar files hold no images.")
        images, classes = zip(*samples, strict=True)
        labels = None if None in classes else torch.tensor(classes)
        super().__init__(*divided(LabelledSamples(torch.from_numpy(np.stack(images)), labels)))


def samples_of(shard: Path, form: PixelFormat) -> Iterator[tuple[np.ndarray, int | None]]:
    """The images of a shard and their classes, in its order; files of one sample follow each other."""
    try:
        with tarfile.open(shard) as archive:
            for name, members in groupby((member for member in archive if member.isfile()), stem_of):
                files = {member.name[len(name) + 1 :].lower(): content(archive, member) for member in members}
                encoded = next((files[suffix] for suffix in IMAGES if suffix in files), None)
                if encoded is None:
                    continue
                pixels = read(BytesIO(encoded), form)
                if isinstance(pixels, str):
                    raise UserError(f"{printable(shard)}: the image {printable(name)} cannot be read: {pixels}.")
                yield pixels, class_number(files["cls"]) if "cls" in files else None
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise UserError(f"{printable(shard)} cannot be read: {error}.") from error


def stem_of(member: tarfile.TarInfo) -> str:
    """The name that the files of a sample have in common: up to the first point after the last slash."""
    folder, slash, name = member.name.rpartition("/")
    return folder + slash + name.partition(".")[0]


def class_number(text: bytes) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(f"the class {number} is negative")
    return number


def content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None, "a file has contents"
    return file.read()
