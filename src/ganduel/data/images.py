"""The images of a folder, cut to squares of one size and held in memory as bytes.

    files      all below the folder with the suffix of an image, in the order of their names, except for hidden ones
    decoded    and rotated by the EXIF entry; on white where transparent; the first of several frames
    cut        to the largest square in the middle, which is resized by an antialiased Lanczos filter
    held out   round(held_out · n) of the n images, chosen by a fixed shuffle: the split "test", never trained on

n images take n · channels · size² bytes. Files that cannot be read are left out, with a warning that names them.
"""

import logging
import os
import warnings
from collections.abc import Sequence
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from ganduel import rng
from ganduel.data.base import Split, TensorData
from ganduel.environment import rank_from_environment
from ganduel.errors import UserError
from ganduel.types import Bytes

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MAX_LISTED = 10  # unreadable files in the warning
THREADS = 16  # at most: each holds an image of full size

log = logging.getLogger("ganduel")


class Images(TensorData):
    """The images below a folder.

    Args:
        dir: the folder.
        size: height and width after resizing, in pixels.
        channels: 3 for colour, 1 for grey.
        held_out: the fraction of the images that is kept out of training; 0 for none.
    """

    def __init__(self, dir: str | None = None, size: int = 32, channels: Literal[1, 3] = 3, held_out: float = 0.1):
        if dir is None:
            raise UserError("data=images needs a folder with images: type data.dir=FOLDER as well.")
        if size < 1:
            raise UserError(f"data.size={size} must be at least 1: the height and width in pixels.")
        if channels not in (1, 3):
            raise UserError(f"data.channels={channels} must be 3 for colour or 1 for grey.")
        if not 0 <= held_out < 1:
            raise UserError(f"data.held_out={held_out} must be a share of the images, at least 0 and less than 1.")
        images = load(dir, size, channels)
        training, out = divide(len(images), held_out)
        if len(training) == 0:
            raise UserError(f"data.held_out={held_out} leaves none of the {len(images)} images for training.")
        super().__init__(images[training])
        self.held_out = images[out]
        if len(out):
            self.splits = ("train", "test")

    def samples_of(self, split: Split) -> Tensor:
        return self.held_out if split == "test" else self.samples


def divide(n: int, held_out: float) -> tuple[Tensor, Tensor]:
    """The indices of the images to train on and of those held out, each in ascending order."""
    order = torch.randperm(n, generator=rng.generator("held out"))
    out = round(held_out * n)
    return order[out:].sort().values, order[:out].sort().values


def load(dir: str, size: int, channels: int) -> Bytes:
    """All readable images below a folder."""
    folder = Path(dir).expanduser()
    if not folder.is_dir():
        raise UserError(f"data.dir={dir} is not a folder. Give the folder with the images.")
    paths = find(folder)
    if not paths:
        raise UserError(f"data.dir={dir} holds no images: no file there ends in {', '.join(SUFFIXES)}.")
    results = read_all(paths, size, channels)
    images = [image for image in results if not isinstance(image, str)]
    pairs = zip(paths, results, strict=True)
    unreadable = [f"{printable(path.relative_to(folder))} ({why})" for path, why in pairs if isinstance(why, str)]
    if not images:
        raise UserError(f"data.dir={dir}: none of the {len(paths)} images can be read: {listed(unreadable)}.")
    if unreadable and rank_from_environment() == 0:
        counts = f"{len(unreadable)} of the {len(paths)} images"
        log.warning("data.dir=%s: %s cannot be read and are left out: %s.", dir, counts, listed(unreadable))
    return torch.from_numpy(np.stack(images))


def read_all(paths: Sequence[Path], size: int, channels: int) -> list[np.ndarray | str]:
    """`read` of each path, by several threads: decoders release the GIL.

    A progress bar is shown on a terminal after two seconds.
    """
    with warnings.catch_warnings(), ThreadPool(min(THREADS, os.cpu_count() or 1)) as pool:
        warnings.filterwarnings("ignore", module="PIL")  # about oddities of readable files
        images = pool.imap(partial(read, size=size, channels=channels), paths, chunksize=8)
        hidden = rank_from_environment() > 0 or None  # None: where there is no terminal
        return list(tqdm(images, "images", len(paths), leave=False, delay=2, disable=hidden))


def find(folder: Path) -> list[Path]:
    """The image files below a folder, except for hidden ones."""
    candidates = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
    visible = [path for path in candidates if not any(part.startswith(".") for part in path.parts)]
    return [folder / path for path in sorted(visible) if (folder / path).is_file()]


def read(path: Path, size: int, channels: int) -> np.ndarray | str:
    """The image in a file as bytes (channels, size, size), or in a few words the reason why it cannot be read."""
    try:
        with Image.open(path) as image:
            ImageOps.exif_transpose(image, in_place=True)
            square = cut(flatten(image, "L" if channels == 1 else "RGB"), size)
    except Image.DecompressionBombError as error:
        reason = f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, which may be an attack"
        raise UserError(f"{printable(path)} is too large: {reason}. Make it smaller, or take it away.") from error
    except Image.UnidentifiedImageError:
        return "no image that is known"
    except Exception as error:  # decoders raise errors of any type
        return (str(getattr(error, "strerror", None) or error).splitlines() or [type(error).__name__])[0]
    return np.asarray(square).reshape(size, size, channels).transpose(2, 0, 1)


def flatten(image: Image.Image, mode: str) -> Image.Image:
    """The image in 8-bit grey (mode "L") or colour ("RGB"), on white where it is transparent."""
    if image.mode == "F":
        raise ValueError("floating-point values, whose range is unknown")
    if image.mode.startswith("I"):  # Pillow would clip these at 255
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("values beyond 16 bits")
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def cut(image: Image.Image, size: int) -> Image.Image:
    """The largest square in the middle, resized; cut first, since the rest may be large."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))


def listed(names: Sequence[str]) -> str:
    """The first of the names, and the number of the others."""
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def printable(path: Path) -> str:
    """A path on one line, in printable characters."""
    return str(path) if str(path).isprintable() else repr(str(path))
