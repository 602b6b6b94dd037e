"""Samples from a checkpoint, without its data and without a Trainer: a PNG grid, an NPZ of any size, or a GIF.

They are those of `ganduel.load(…).sample`: functions of the weights, the seed and their numbers alone.
"""

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import IO, Any, cast

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from ganduel.atomic import output_file
from ganduel.errors import UserError
from ganduel.image_grid import GAP, animate, columns_of, make_grid, make_grid_of_classes
from ganduel.trained.generator import STEPS, TrainedGenerator, in_turn
from ganduel.trained.interpolate import interpolate
from ganduel.trained.load import load

SUFFIXES = (".png", ".npz", ".gif")
PIXELS = 2**26  # 8192 × 8192: Pillow takes a larger image for an attack
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
    truncation: float | None = None,
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
        truncation: how far the noise goes, or the styles of StyleGAN2; None: as in training.
    """
    n = (9 if interpolate else 64) if n is None else n
    check(path, out, n, interpolate)
    source = load(path, live, device, trust, how="--trust").truncated(truncation)
    suffix = out.suffix.lower()
    if suffix != ".npz":
        check_picture(source, n, out, interpolate)
    with output_file(out) as file:
        if suffix == ".npz":
            write_npz(file, source, n, seed, label)
        elif suffix == ".gif":
            write_gif(file, source, n, seed, label)
        elif interpolate:
            write_walks(file, source, n, seed, label)
        else:
            write_grid(file, source, n, seed, label)
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


def check_picture(source: TrainedGenerator, n: int, out: Path, interpolate: bool) -> None:
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


def write_npz(path: Path, source: TrainedGenerator, n: int, seed: int, label: str | None) -> None:
    """Stream the samples into a file like that of `numpy.savez(path, samples=…)`."""
    dtype = "|u1" if source.image else "<f4"
    header: dict[str, Any] = {"descr": dtype, "fortran_order": False, "shape": (n, *source.shape)}
    member = zipfile.ZipInfo("samples.npy")  # dated 1980: the same samples give the same bytes
    with zipfile.ZipFile(path, "w") as archive, archive.open(member, "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(cast(IO[bytes], file), header)
        for batch in progress(source.batches(n, seed, label), n):
            file.write(batch.numpy().astype(dtype, copy=False).tobytes())


def write_grid(path: Path, source: TrainedGenerator, n: int, seed: int, label: str | None) -> None:
    """A grid of samples, with a row for each class where they have several."""
    classes = source.classes if label is None else None
    make_grid_of_classes(torch.cat(list(progress(source.batches(n, seed, label), n))), classes).save(path)


def write_walks(path: Path, source: TrainedGenerator, n: int, seed: int, label: str | None) -> None:
    """A grid of walks, one per row; each keeps its class, if G takes labels."""
    images = progress(source.walks(n, STEPS, seed, label), n * STEPS)
    make_grid(torch.cat(list(images)), STEPS).save(path)


def write_gif(path: Path, source: TrainedGenerator, n: int, seed: int, label: str | None) -> None:
    """A grid in which every tile walks through its waypoints and back to the first, slowing down at each."""
    z = source.noise(n * WAYPOINTS, seed).unflatten(0, (n, WAYPOINTS))
    t = torch.arange(FRAMES) / FRAMES
    t = t * t * (3 - 2 * t)  # 0 and 1 stay, and the speed is 0 there: no kink at a waypoint
    legs = [interpolate(source.generator, z[:, i], z[:, (i + 1) % WAYPOINTS], t) for i in range(WAYPOINTS)]
    frames = torch.cat(legs, dim=1).transpose(0, 1)  # (WAYPOINTS · FRAMES, n, noise_dim)
    labels = in_turn(source.class_numbers(label), n)
    batches = [source.generate(z, labels) for z in progress(frames, len(frames), size=lambda _: 1)]
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
