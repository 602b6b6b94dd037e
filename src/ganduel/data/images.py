"""The images of a folder, made into one shape and decoded once: into a memory-mapped file, of any size.

    files      which are taken: ganduel.data.image_files
    decoded    what an image becomes: ganduel.data.decode
    kept       in the user's cache, n · channels · height · width bytes, 4 for each of 16 bits: ganduel.data.mapped
    classes    the folders in the folder, where a condition asks for labels
    held out   round(held_out · n) of the n images, chosen by a fixed shuffle: the split "test", never trained on
    flipped    left to right, each image of a minibatch with probability ½, from (seed, "flip", position)

Files that cannot be read are left out, with a warning that names them; files that are passed over are counted by
suffix.
"""

import logging
import math
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from hashlib import sha256
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Int64
from PIL import ImageColor
from torch import Tensor
from tqdm import tqdm

from ganduel import rng
from ganduel.data.base import Split, TensorData
from ganduel.data.decode import MODES, Fit, PixelFormat, read
from ganduel.data.image_files import find
from ganduel.data.mapped import Mapped, Store
from ganduel.environment import cache_folder, rank_from_environment
from ganduel.errors import UserError, listed, printable
from ganduel.types import Labels, Samples

THREADS = 16  # at most: each holds an image of full size
SHARE = 0.25  # of a GPU's free memory: larger sets are not held there

log = logging.getLogger("ganduel")


class Images(TensorData):
    """The images below a folder.

    Args:
        dir: the folder.
        size: height and width in pixels, or one number for both.
        channels: 1 for grey, 3 for colour, 2 and 4 for these with alpha.
        held_out: the fraction of the images that is kept out of training; 0 for none.
        fit: "crop" the largest rectangle of that shape, in the middle, or "pad" the whole image.
        background: the colour below what is transparent, and beside what is padded.
        bits: 8, or 16 for grey values of that many bits, as floats.
        flip: whether images are mirrored at random.
    """

    def __init__(
        self,
        dir: str | None = None,
        size: int | Sequence[int] = 32,
        channels: Literal[1, 2, 3, 4] = 3,
        held_out: float = 0.1,
        fit: Fit = "crop",
        background: str = "white",
        bits: Literal[8, 16] = 8,
        flip: bool = False,
    ):
        if dir is None:
            raise UserError("data=images needs a folder with images: type data.dir=FOLDER as well.")
        form = pixel_format(size, channels, fit, background, bits)
        if not 0 <= held_out < 1:
            raise UserError(f"data.held_out={held_out} must be a share of the images, at least 0 and less than 1.")
        self.dir, self.flip = dir, flip
        self.class_folders, self.mapped = load(dir, form)
        self.readable = self.mapped.readable
        training, out = divide(len(self.readable), held_out)
        if len(training) == 0:
            raise UserError(f"data.held_out={held_out} leaves none of the {len(out)} images for training.")
        super().__init__(self.mapped.rows, subset=self.readable[training])
        self.held_out = self.readable[out]
        if len(out):
            self.splits = ("train", "test")

    def checked(self, samples: Tensor) -> Tensor:
        """Floats are of our own making."""
        return samples if samples.is_floating_point() else super().checked(samples)

    def use_labels(self) -> None:
        """An image's class is the folder that it lies in, of those in `dir`."""
        if loose := self.class_folders.count(""):
            raise UserError(
                f"a condition needs classes, which are the folders in data.dir={self.dir}: {loose:,} of the "
                f"{len(self.class_folders):,} images lie in none of them. Move these, or use condition=none."
            )
        counts = Counter(self.class_folders[i] for i in self.readable.tolist())
        names = sorted(counts)
        number = {name: i for i, name in enumerate(names)}
        self.set_labels(torch.tensor([number.get(name, 0) for name in self.class_folders]), names)
        if rank_from_environment() == 0:
            each = listed([f"{printable(name)} {counts[name]:,}" for name in names])
            log.info("data.dir=%s: %s classes: %s.", self.dir, len(counts), each)
            if empty := sorted(subfolders(Path(self.dir)) - counts.keys()):
                log.warning("data.dir=%s: folders without an image are no classes: %s.", self.dir, listed(empty))

    def to(self, device: torch.device) -> None:
        """Images that take more than a quarter of a GPU's free memory stay where they are; minibatches are copied."""
        if device.type == "cuda" and self.samples.nbytes > SHARE * torch.cuda.mem_get_info(device)[0]:
            self.device = device
        else:
            super().to(device)

    def minibatch(
        self, seed: int, position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Samples, Labels | None]:
        images, labels = super().minibatch(seed, position, batch_size, rows)
        self.prefetch([seed], position + 1, batch_size, rows)
        return (flipped(images, seed, position, batch_size, rows) if self.flip else images), labels

    def minibatches(
        self, seeds: Sequence[int], position: int, batch_size: int, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor | None]:
        images, labels = super().minibatches(seeds, position, batch_size, rows)
        self.prefetch(seeds, position + 1, batch_size, rows)
        if self.flip:
            pairs = zip(images, seeds, strict=True)
            images = torch.stack([flipped(of_seed, seed, position, batch_size, rows) for of_seed, seed in pairs])
        return images, labels

    def prefetch(self, seeds: Sequence[int], position: int, batch_size: int, rows: slice) -> None:
        """Begin to read what comes next from the file, in the background."""
        if self.samples.device.type == "cpu":
            for seed in seeds:
                self.mapped.prefetch(self.indices(seed, position, batch_size)[rows])

    @cached_property
    def fingerprint(self) -> dict[str, Any] | None:
        """Of all images of the folder: those held out decide which ones are trained on."""
        record = {"samples": len(self.readable), "shape": list(self.shape), "checksum": self.mapped.about.checksum[:16]}
        return record | self.record_of(None if self.sample_labels is None else self.sample_labels.cpu()[self.readable])

    def count(self, split: Split) -> int:
        return len(self.indices_of(split))

    def remedy(self, n: int) -> str | None:
        percent = math.ceil(100 * n / len(self.readable))
        return f"data.held_out={percent / 100}" if percent <= 50 else None

    def samples_of(self, split: Split) -> Tensor:
        return self.mapped.rows[self.indices_of(split)]

    def rows_of(self, split: Split, indices: Int64[Tensor, " n"]) -> Tensor:
        rows = self.indices_of(split)[indices]
        self.mapped.prefetch(rows)
        return self.mapped.rows[rows]

    def labels_of(self, split: Split) -> Labels | None:
        return None if self.sample_labels is None else self.sample_labels.cpu()[self.indices_of(split)]

    def indices_of(self, split: Split) -> Int64[Tensor, " n"]:
        """Of the images that a split has."""
        return self.held_out if split == "test" else self.subset


def pixel_format(size: int | Sequence[int], channels: int, fit: Fit, background: str, bits: int) -> PixelFormat:
    """What the images are made into, unless an option has no meaning."""
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or min(sides) < 1:
        raise UserError(f"data.size={size} must be at least 1: the height and width in pixels, such as 64 or [64,48].")
    if channels not in MODES:
        raise UserError(f"data.channels={channels} must be 1 for grey, 3 for colour, 2 or 4 for these with alpha.")
    if fit not in get_args(Fit):
        raise UserError(f"data.fit={fit} is not known. There are: {', '.join(get_args(Fit))}.")
    try:
        ImageColor.getrgb(background)
    except ValueError:
        raise UserError(f"data.background={background} is no colour. Try white, black or '#808080'.") from None
    if bits not in (8, 16):
        raise UserError(f"data.bits={bits} must be 8 or 16.")
    if bits == 16 and channels != 1:
        raise UserError("data.bits=16: colours are read in 8 bits. Take data.channels=1 as well, or data.bits=8.")
    return PixelFormat((sides[0], sides[1]), channels, fit, background, bits)


def flipped(images: Samples, seed: int, position: int, batch_size: int, rows: slice) -> Samples:
    """A minibatch of which each image is mirrored, left to right, with probability ½."""
    chosen = torch.rand(batch_size, generator=rng.generator(seed, "flip", position))[rows] < 0.5
    return torch.where(chosen.to(images.device)[:, None, None, None], images.flip(3), images)


def divide(n: int, held_out: float) -> tuple[Tensor, Tensor]:
    """The indices of the images to train on and of those held out, each in ascending order."""
    order = torch.randperm(n, generator=rng.generator("held out"))
    out = round(held_out * n)
    return order[out:].sort().values, order[:out].sort().values


def load(dir: str, form: PixelFormat) -> tuple[list[str], Mapped]:
    """All images below a folder, and of each in which of its folders it lies: "" for none."""
    folder = Path(dir).expanduser().resolve()
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
    options = f"{'x'.join(map(str, form.shape))}-{sha256(repr((str(folder), form)).encode()).hexdigest()[:8]}"
    mapped = Store(
        cache_folder("images") / f"{folder.name}-{options}",
        f"data.dir={dir}",
        paths,
        partial(read_all, form=form),
        form.shape,
        form.dtype,
        options,
    ).load()
    unreadable = [
        f"{printable(paths[row].relative_to(folder))} ({why})" for row, why in sorted(mapped.about.missing.items())
    ]
    if len(unreadable) == len(paths):
        raise UserError(f"data.dir={dir}: none of the {len(paths)} images can be read: {listed(unreadable)}.")
    if unreadable and rank_from_environment() == 0:
        counts = f"{len(unreadable)} of the {len(paths)} images"
        log.warning("data.dir=%s: %s cannot be read and are left out: %s.", dir, counts, listed(unreadable))
    parts = [path.relative_to(folder).parts for path in paths]
    return [part[0] if len(part) > 1 else "" for part in parts], mapped


def read_all(paths: Sequence[Path], done: int = 0, *, form: PixelFormat) -> Iterator[np.ndarray | str]:
    """`read` of each path, by several threads: decoders release the GIL.

    A progress bar is shown on a terminal after two seconds; `done` others are behind it.
    """
    with warnings.catch_warnings(), ThreadPool(min(THREADS, os.cpu_count() or 1)) as pool:
        warnings.filterwarnings("ignore", module="PIL")  # about oddities of readable files
        images = pool.imap(partial(read, form=form), paths, chunksize=8)
        hidden = rank_from_environment() > 0 or None  # None: where there is no terminal
        total = done + len(paths)
        yield from tqdm(images, "images", total, initial=done, leave=False, delay=2, disable=hidden)


def subfolders(folder: Path) -> set[str]:
    """The names of the folders in a folder, except for hidden ones."""
    return {path.name for path in folder.expanduser().iterdir() if path.is_dir() and not path.name.startswith(".")}
