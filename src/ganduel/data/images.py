"""The images of a folder, cut to squares of one size and held in memory as bytes.

    files      all below the folder with a suffix of FORMATS, in the order of their names, except for hidden ones;
               links are followed, but not to a folder that they lie in, and each file is taken once
    decoded    and rotated by the EXIF entry; on white where transparent; the first of several frames
    cut        to the largest square in the middle, which is resized by an antialiased Lanczos filter
    held out   round(held_out · n) of the n images, chosen by a fixed shuffle: the split "test", never trained on

n images take n · channels · size² bytes. Files that cannot be read are left out, with a warning that names them; files
that are passed over are counted by suffix.
"""

import logging
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import cached_property, partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile
from torch import Tensor
from tqdm import tqdm

from ganduel import rng
from ganduel.data.base import Split, TensorData, fingerprint
from ganduel.environment import rank_from_environment
from ganduel.errors import UserError
from ganduel.types import Bytes

# Pillow's formats of pixels that it decodes itself; EPS, for one, is a program, which it has Ghostscript run.
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA",
           "TIFF", "WEBP")  # fmt: skip
MAX_LISTED = 10  # unreadable files in the warning
THREADS = 16  # at most: each holds an image of full size
LARGE = 2**25  # pixels: images that have more take up to gigabytes each, and are decoded one at a time
ONE_AT_A_TIME = Lock()

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

    @cached_property
    def fingerprint(self) -> dict[str, Any] | None:
        """Of all images of the folder: those held out decide which ones are trained on."""
        both = len(self.samples) + len(self.held_out)
        return {**fingerprint(self.samples, self.held_out), "samples": both}

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
    paths, others = find(folder)
    passed_over = f"{others.total():,} of {len(paths) + others.total():,} files passed over: "
    passed_over += listed([f"{kind} {count:,}" for kind, count in others.most_common()])
    if not paths:
        files = f" ({passed_over})" if others else ""
        raise UserError(f"data.dir={dir} holds no images: no file there ends in .png, .jpg, .webp or the like{files}.")
    if others and rank_from_environment() == 0:
        log.info("data.dir=%s: %s.", dir, passed_over)
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


def find(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The image files below a folder in the order of their names, each once; and how many others there are, by kind."""
    suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    paths, taken, others = list[Path](), set[str](), Counter[str]()
    for path, real in sorted(walk(folder, lambda _: others.update(["folders that cannot be read"]))):
        suffix = printable(path.suffix.lower())
        if suffix not in suffixes:
            others[suffix or "without suffix"] += 1
        elif real in taken:
            others["links to others of these"] += 1
        elif not os.path.isfile(real):
            others[f"{suffix} that are no files"] += 1
        else:
            taken.add(real)
            paths.append(path)
    return paths, others


def walk(folder: Path, onerror: Callable[[OSError], None]) -> Iterator[tuple[Path, str]]:
    """The files below a folder with their real paths, except for hidden ones.

    Links to folders are followed, but not to one that they lie in; a folder that several lead to is walked once.
    """
    walked = set[str]()
    for path, folders, names in os.walk(folder, onerror=onerror, followlinks=True):
        here = os.path.realpath(path)
        down = [name for name in folders if not Path(here).is_relative_to(os.path.realpath(os.path.join(path, name)))]
        folders[:] = [] if here in walked else sorted(name for name in down if not name.startswith("."))
        for name in [] if here in walked else names:
            if not name.startswith("."):
                is_link = os.path.islink(os.path.join(path, name))
                yield Path(path, name), os.path.realpath(os.path.join(path, name)) if is_link else f"{here}/{name}"
        walked.add(here)


def read(path: Path, size: int, channels: int) -> np.ndarray | str:
    """The image in a file as bytes (channels, size, size), or in a few words the reason why it cannot be read."""
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        with Image.open(path, formats=formats) as image, ONE_AT_A_TIME if is_large(image) else nullcontext():
            scale_transparency(image)
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


def is_large(image: Image.Image) -> bool:
    return image.width * image.height > LARGE


def scale_transparency(image: Image.Image) -> None:
    """Scale a PNG's transparent value to 8 bits, as Pillow scales its pixels when it reads them; not of 16-bit grey."""
    value = image.info.get("transparency")
    if value is None or not isinstance(image, PngImageFile):
        return
    rawmode = image.tile[0].args
    if rawmode in ("L;2", "L;4"):
        image.info["transparency"] = value * (85 if rawmode == "L;2" else 17)
    elif rawmode == "RGB;16B":
        image.info["transparency"] = tuple(channel >> 8 for channel in value)


def flatten(image: Image.Image, mode: str) -> Image.Image:
    """The image in 8-bit grey (mode "L") or colour ("RGB"), on white where it is transparent."""
    if image.mode == "F":
        raise ValueError("floating-point values, whose range is unknown")
    if image.mode.startswith("I"):  # Pillow would clip these at 255
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("values beyond 16 bits")
        values[values == image.info.get("transparency")] = 65535  # white
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


def printable(path: Path | str) -> str:
    """A path, or a part of one, on one line in printable characters."""
    return str(path) if str(path).isprintable() else repr(str(path))
