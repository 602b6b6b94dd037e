"""Samples from a checkpoint, without its data and without a Trainer: a PNG grid, an NPZ of any size, or a GIF.

Sample i is a pure function of the weights, the seed and i: its z is row i mod 1,000 of a block drawn on the CPU from
(seed, "sample", i div 1,000), its class, if G takes labels, is i mod classes, and G runs on batches of one fixed size.
So n = 10 gives the first 10 of n = 100, and the same command writes the same file.
"""

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from time import monotonic
from typing import IO, Any, cast

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from ganduel import rng
from ganduel.atomic import output_file
from ganduel.command.interpolate import interpolate
from ganduel.command.source import Source, choose_device, load
from ganduel.errors import UserError, nearest
from ganduel.image_grid import (
    GAP,
    animate,
    columns_of,
    generate_stored,
    make_grid,
    make_grid_of_classes,
)
from ganduel.model.base import Generator
from ganduel.types import Labels, Noise

BLOCK = 1000  # z per draw; another value gives other samples
BATCH = 100  # samples per forward pass, always that many: the last bits of a sum depend on it
SUFFIXES = (".png", ".npz", ".gif")
PIXELS = 2**26  # 8192 × 8192: Pillow takes a larger image for an attack
STEPS = 10  # images in a row of a walk, both ends included
WAYPOINTS, FRAMES, MILLISECONDS = 4, 16, 60  # of a GIF's closed walk: its z, frames between two, duration of a frame
PATIENCE = 2.0  # seconds before a progress bar appears


def sample(
    path: Path,
    out: Path,
    n: int | None = None,
    seed: int = 0,
    live: bool = False,
    interpolate: bool = False,
    device: str = "auto",
    trust: bool = False,
    label: str | None = None,
) -> str:
    """Write samples to a file; returns one line that says what was written.

    Args:
        path: the folder of a run, or a checkpoint.
        out: the file; its suffix is its format.
        n: the number of samples, or of walks with `interpolate`; None: 64, or 9 walks.
        seed: of the noise.
        live: G itself instead of the average of its weights.
        interpolate: walks from one z to another instead of samples.
        device: "cpu", "cuda", or "auto" for the GPU where there is one.
        trust: whether a generator that is not ganduel's may be built, which runs its code.
        label: the class of all samples, of a G that takes labels, by number or name; None: each in turn.
    """
    n = (9 if interpolate else 64) if n is None else n
    check(path, out, n, interpolate)
    source = load(path, live, choose_device(device), trust)
    source = source if label is None else replace(source, label=class_number(source, label))
    suffix = out.suffix.lower()
    if suffix != ".npz":
        check_picture(source, n, out, interpolate)
    with output_file(out) as file, torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False):
        if suffix == ".npz":
            write_npz(file, source, n, seed)
        elif suffix == ".gif":
            write_gif(file, source, n, seed)
        elif interpolate:
            write_walks(file, source, n, seed)
        else:
            write_grid(file, source, n, seed)
    what = "walk" if interpolate else "image" if source.image else "sample"
    return f"{out}: {n:,} {what}{'s' * (n > 1)} from {source.name} at iteration {source.iteration:,}, seed {seed}"


def check(path: Path, out: Path, n: int, interpolate: bool) -> None:
    """Refuse arguments that cannot work for any checkpoint."""
    suffix = out.suffix.lower()
    if n < 1:
        raise UserError(f"--n {n}: there must be at least 1.")
    if suffix not in SUFFIXES:
        raise UserError(f"--out {out}: the name must end in one of {', '.join(SUFFIXES)}, which says what to write.")
    if suffix == ".gif" and not interpolate:
        raise UserError(f"--out {out}: a GIF shows walks. Add --interpolate, or write a .png.")
    if suffix == ".npz" and interpolate:
        raise UserError(f"--out {out}: --interpolate makes a picture. Write a .png or a .gif.")
    if not os.path.exists(path):  # unlike a Path's, False for a name that is too long
        raise UserError(f"{path} does not exist. Give the folder of a run, or a checkpoint in it.")
    if os.path.isdir(out):
        raise UserError(f"--out {out} is a folder. Give the name of a file.")
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}. Make it first.")
    if not os.access(out.parent, os.W_OK):
        raise UserError(f"--out {out}: the folder {out.parent} is not writable. Choose another.")


def class_number(source: Source, label: str) -> int:
    """The number of a class that the generator knows, by number or name."""
    classes = getattr(source.generator, "classes", None)
    if classes is None:
        raise UserError(f"--class {label}: the generator was trained without labels. Train with condition=concat.")
    if label in source.classes:
        return source.classes.index(label)
    if not label.isdecimal() or int(label) >= classes:
        names = f" {nearest(label, filter(str.isprintable, source.classes))}" if source.classes else ""
        raise UserError(f"--class {label}: there are {classes} classes, 0 to {classes - 1}.{names}")
    return int(label)


def check_picture(source: Source, n: int, out: Path, interpolate: bool) -> None:
    """Refuse samples that are no images, and an image that no viewer would open."""
    shape = source.shape
    if not source.image:
        raise UserError(f"--out {out}: samples of shape {tuple(shape)} are no pictures. Use {out.with_suffix('.npz')}.")
    gif = out.suffix.lower() == ".gif"
    columns = STEPS if interpolate and not gif else columns_of(n)
    rows = n if interpolate and not gif else -(-n // columns)
    height, width = rows * (shape[1] + GAP), columns * (shape[2] + GAP)
    frames = WAYPOINTS * FRAMES if gif else 1
    if frames * height * width > PIXELS:
        size = f"{width:,} × {height:,} pixels" + (f" in {frames} frames" if gif else "")
        advice = "Choose a smaller --n." if interpolate else f"Use {out.with_suffix('.npz')} for so many."
        raise UserError(f"--n {n}: a picture of {size} is more than can be looked at. {advice}")


def draw(generator: Generator, block: int, seed: int) -> Noise:
    """Z of the 1,000 samples of a block; always of all, since torch draws fewer numbers in another way."""
    return generator.draw(BLOCK, rng.generator(seed, "sample", block))


def samples(source: Source, n: int, seed: int, batch: int = BATCH) -> Iterator[Tensor]:
    """The first n samples of a seed, a batch at a time, on the CPU: images as bytes, all else as float32."""
    for block in range(-(-n // BLOCK)):
        for i, z in enumerate(draw(source.generator, block, seed).split(batch)):
            start = block * BLOCK + i * batch
            if start >= n:
                return
            yield generate_from(source, z, source.labels(len(z), start))[: n - start]


def generate_from(source: Source, z: Noise, labels: Labels | None = None) -> Tensor:
    """The source's samples for z: images as bytes, all else as float32."""
    name = f"{source.name} at iteration {source.iteration:,}"
    return generate_stored(source.generator, z, source.shape, source.image, BATCH, name, labels)


def waypoints(generator: Generator, walks: int, points: int, seed: int) -> Tensor:
    """The z at which walks change direction, (walks, points, noise_dim): those of all samples, one after another."""
    blocks = -(-walks * points // BLOCK)
    z = torch.cat([draw(generator, block, seed) for block in range(blocks)])
    return z[: walks * points].unflatten(0, (walks, points))


def write_npz(path: Path, source: Source, n: int, seed: int) -> None:
    """Stream the samples into a file like that of `numpy.savez(path, samples=…)`."""
    dtype = "|u1" if source.image else "<f4"
    header: dict[str, Any] = {"descr": dtype, "fortran_order": False, "shape": (n, *source.shape)}
    member = zipfile.ZipInfo("samples.npy")  # dated 1980: the same samples give the same bytes
    with zipfile.ZipFile(path, "w") as archive, archive.open(member, "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(cast(IO[bytes], file), header)
        for batch in progress(samples(source, n, seed), n):
            file.write(batch.numpy().astype(dtype, copy=False).tobytes())


def write_grid(path: Path, source: Source, n: int, seed: int) -> None:
    """A grid of samples, with a row for each class where they have several."""
    classes = getattr(source.generator, "classes", None) if source.label is None else None
    make_grid_of_classes(torch.cat(list(progress(samples(source, n, seed), n))), classes).save(path)


def write_walks(path: Path, source: Source, n: int, seed: int) -> None:
    """A grid of walks, one per row; each keeps its class, if G takes labels."""
    ends = waypoints(source.generator, n, 2, seed)
    z = interpolate(source.generator, ends[:, 0], ends[:, 1], torch.linspace(0, 1, STEPS)).flatten(0, 1)
    labels = source.labels(n)
    parts = z.split(BATCH), repeat(None) if labels is None else labels.repeat_interleave(STEPS).split(BATCH)
    images = map(partial(generate_from, source), *parts)
    make_grid(torch.cat(list(progress(images, n * STEPS))), STEPS).save(path)


def write_gif(path: Path, source: Source, n: int, seed: int) -> None:
    """A grid in which every tile walks through its waypoints and back to the first, slowing down at each."""
    z = waypoints(source.generator, n, WAYPOINTS, seed)
    t = torch.arange(FRAMES) / FRAMES
    t = t * t * (3 - 2 * t)  # 0 and 1 stay, and the speed is 0 there: no kink at a waypoint
    legs = [interpolate(source.generator, z[:, i], z[:, (i + 1) % WAYPOINTS], t) for i in range(WAYPOINTS)]
    frames = torch.cat(legs, dim=1).transpose(0, 1)  # (WAYPOINTS · FRAMES, n, noise_dim)
    batches = [generate_from(source, z, source.labels(len(z))) for z in progress(frames, len(frames), size=lambda _: 1)]
    animate([make_grid(images) for images in batches], path, milliseconds=MILLISECONDS, pause=MILLISECONDS)


def progress(
    parts: Iterable[Tensor], total: int, size: Callable[[Tensor], int] = len, patience: float = PATIENCE
) -> Iterator[Tensor]:
    """The parts, with a progress bar on a terminal after `patience` seconds."""
    with bar("sampling", total, patience) as advance:
        for part in parts:
            advance(size(part))
            yield part


@contextmanager
def bar(title: str, total: int, patience: float = PATIENCE) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal after `patience` seconds; yields a function to advance it."""
    view = Progress(console=(console := Console(stderr=True)), transient=True, disable=not console.is_terminal)
    task, start = view.add_task(title, total=total), monotonic()

    def advance(n: int) -> None:
        if not view.live.is_started and monotonic() - start > patience:
            view.start()
        view.advance(task, n)

    try:
        yield advance
    finally:
        view.stop()
