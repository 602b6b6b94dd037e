"""Samples from a checkpoint, without its data and without a Trainer: a PNG grid, an NPZ of any size, or a GIF.

Sample i is a pure function of the weights, the seed and i: its z is row i mod 1,000 of a block drawn on the CPU from
(seed, "sample", i div 1,000), and G runs on batches of one fixed size. So n = 10 gives the first 10 of n = 100, and
the same file comes out twice.
"""

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from inspect import isclass
from pathlib import Path
from time import monotonic
from typing import IO, Any, cast

import numpy as np
import torch
from hydra.utils import get_object
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from ganduel import checkpoint as checkpoints
from ganduel import rng
from ganduel.atomic import output_file
from ganduel.build import build
from ganduel.command.interpolate import walk
from ganduel.errors import UserError
from ganduel.image_grid import GAP, animate, columns_of, is_image, render, tile
from ganduel.model.base import Generator
from ganduel.run import schema
from ganduel.types import Noise

BLOCK = 1000  # z that are drawn together; another value gives other samples
BATCH = 100  # samples that G makes together, always that many: a sum's last bits depend on it
SUFFIXES = (".png", ".npz", ".gif")
PIXELS = 2**26  # 8192 × 8192: more in one picture, and Pillow takes it for an attack
STEPS = 10  # pictures in a row of a walk, both ends included
STATIONS, FRAMES, MILLISECONDS = 4, 16, 60  # of a GIF's closed walk: its z, frames from one to the next, and their time
PATIENCE = 2.0  # seconds before a progress bar appears


@dataclass(frozen=True)
class Source:
    """Where samples come from.

    Attributes:
        generator: G or its average, on the device where it runs.
        shape: of one sample.
        iteration: how many the run had done.
        name: which weights these are, in words.
    """

    generator: Generator
    shape: tuple[int, ...]
    iteration: int
    name: str


def sample(
    path: Path,
    out: Path,
    n: int | None = None,
    seed: int = 0,
    live: bool = False,
    interpolate: bool = False,
    device: str = "auto",
) -> str:
    """Write samples to a file and say in one line what was written.

    Args:
        path: the folder of a run, or a checkpoint.
        out: the file; its suffix is its format.
        n: samples, or walks with `interpolate`; None: 64, or 9 walks.
        seed: of the noise.
        live: G itself instead of the average of its weights.
        interpolate: walks from one z to another instead of samples.
        device: "cpu", "cuda", or "auto" for the GPU where there is one.
    """
    n = (9 if interpolate else 64) if n is None else n
    check(path, out, n, interpolate)
    source = load(path, live, choose_device(device))
    suffix = out.suffix.lower()
    if suffix != ".npz":
        check_picture(source.shape, n, out, interpolate)
    with output_file(out) as file, torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False):
        if suffix == ".npz":
            write_npz(file, source, n, seed)
        elif suffix == ".gif":
            write_gif(file, source, n, seed)
        else:
            write_png(file, source, n, seed, interpolate)
    what = "walk" if interpolate else "image" if is_image(source.shape) else "sample"
    return f"{out}: {n:,} {what}{'s' * (n > 1)} from {source.name} at iteration {source.iteration:,}, seed {seed}"


def check(path: Path, out: Path, n: int, interpolate: bool) -> None:
    """Refuse what cannot work whatever the checkpoint holds."""
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


def check_picture(shape: Sequence[int], n: int, out: Path, interpolate: bool) -> None:
    """Refuse a picture that cannot be, or that nothing could open."""
    if not is_image(shape):
        raise UserError(f"--out {out}: samples of shape {tuple(shape)} are no pictures. Use {out.with_suffix('.npz')}.")
    gif = out.suffix.lower() == ".gif"
    columns = STEPS if interpolate and not gif else columns_of(n)
    rows = n if interpolate and not gif else -(-n // columns)
    height, width = rows * (shape[1] + GAP), columns * (shape[2] + GAP)
    frames = STATIONS * FRAMES if gif else 1
    if frames * height * width > PIXELS:
        size = f"{width:,} × {height:,} pixels" + (f" in {frames} frames" if gif else "")
        advice = "Choose a smaller --n." if interpolate else f"Use {out.with_suffix('.npz')} for so many."
        raise UserError(f"--n {n}: a picture of {size} is more than can be looked at. {advice}")


def choose_device(name: str) -> torch.device:
    """The device of that name."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no CUDA device here. Use --device cpu.")
    return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else name.replace("auto", "cpu"))


def load(path: Path, live: bool, device: torch.device) -> Source:
    """The generator that a run's newest checkpoint, or the given one, holds."""
    path = checkpoints.latest(path) if path.is_dir() else path
    checkpoint = checkpoints.read(path)
    try:
        shape = tuple(checkpoint["ganduel"]["shape"])
        node = checkpoint["ganduel"]["config"]["model"]["generator"]
        weights, iteration = checkpoint["state_dict"], checkpoint["global_step"]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is no whole checkpoint: {error} is missing or not what it should be.") from error
    check_importable(node["_target_"], path)
    schema.check_target(node, "model.generator")
    if not is_network(node["_target_"]):  # a stranger's checkpoint may name anything
        raise UserError(f"{path} names {node['_target_']} as its generator, which is no network.")
    with rng.seeded(0):  # the initial weights are overwritten; they should not move the global generator either
        generator = build(node, shape=shape)
    averages = any(key.startswith("ema.net.") for key in weights)
    prefix = "ema.net." if averages and not live else "generator."
    try:
        generator.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip().rstrip(".")
        raise UserError(f"{path}: its weights are not those of {node['_target_']} ({reason}).") from error
    name = "the average of G" if prefix == "ema.net." else "G itself"
    name += "" if averages or live else " (the run keeps no average)"
    return Source(generator.to(device).eval(), shape, iteration, name)


def is_network(target: str) -> bool:
    """Whether the name is that of a class of networks."""
    named = get_object(target)
    return isclass(named) and issubclass(named, nn.Module)


def check_importable(target: str, path: Path) -> None:
    """Refuse a generator of a module that is not there: a user's own is found from one folder only."""
    module = target.partition(".")[0]
    if find_spec(module) is None:
        raise UserError(f"{path} has a generator {target}: there is no module {module} here. Start from its folder.")


def draw(generator: Generator, block: int, seed: int) -> Noise:
    """Z of the samples 1,000 · block and on; always a whole block, since torch draws fewer in another way."""
    return generator.draw(BLOCK, rng.generator(seed, "sample", block))


def samples(source: Source, n: int, seed: int, batch: int = BATCH) -> Iterator[Tensor]:
    """The first n samples of a seed, a batch at a time, on the CPU: images as bytes, all else as float32."""
    for block in range(-(-n // BLOCK)):
        for i, z in enumerate(draw(source.generator, block, seed).split(batch)):
            left = n - block * BLOCK - i * batch
            if left <= 0:
                return
            yield made(source, z)[:left]


def made(source: Source, z: Noise) -> Tensor:
    """What the source makes of z: images as bytes, all else as float32."""
    name = f"{source.name} at iteration {source.iteration:,}"
    return render(source.generator, z, source.shape, BATCH, name)


def stations(generator: Generator, walks: int, each: int, seed: int) -> Tensor:
    """The z that walks lead through, (walks, each, noise_dim): walk i has those of samples i · each and on."""
    blocks = -(-walks * each // BLOCK)
    z = torch.cat([draw(generator, block, seed) for block in range(blocks)])
    return z[: walks * each].unflatten(0, (walks, each))


def write_npz(path: Path, source: Source, n: int, seed: int) -> None:
    """Stream the samples into what `numpy.savez(path, samples=…)` would write."""
    dtype = "|u1" if is_image(source.shape) else "<f4"
    header: dict[str, Any] = {"descr": dtype, "fortran_order": False, "shape": (n, *source.shape)}
    member = zipfile.ZipInfo("samples.npy")  # dated 1980: the same samples make the same bytes
    with zipfile.ZipFile(path, "w") as archive, archive.open(member, "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(cast(IO[bytes], file), header)
        for part in progress(samples(source, n, seed), n):
            file.write(part.numpy().astype(dtype, copy=False).tobytes())


def write_png(path: Path, source: Source, n: int, seed: int, interpolate: bool) -> None:
    """A grid of samples, or of walks, one a row."""
    if interpolate:
        ends = stations(source.generator, n, 2, seed)
        z = walk(source.generator, ends[:, 0], ends[:, 1], torch.linspace(0, 1, STEPS))
        parts, total, columns = map(partial(made, source), z.flatten(0, 1).split(BATCH)), n * STEPS, STEPS
    else:
        parts, total, columns = samples(source, n, seed), n, None
    tile(torch.cat(list(progress(parts, total))), columns).save(path)


def write_gif(path: Path, source: Source, n: int, seed: int) -> None:
    """A grid in which every tile walks through its stations and back to the first, slowing down at each."""
    z = stations(source.generator, n, STATIONS, seed)
    t = torch.arange(FRAMES) / FRAMES
    t = t * t * (3 - 2 * t)  # 0 and 1 stay, and the speed is 0 there: no kink at a station
    legs = [walk(source.generator, z[:, i], z[:, (i + 1) % STATIONS], t) for i in range(STATIONS)]
    frames = torch.cat(legs, dim=1).transpose(0, 1)  # (STATIONS · FRAMES, n, noise_dim)
    pictures = [made(source, z) for z in progress(frames, len(frames), size=lambda _: 1)]
    animate([tile(picture) for picture in pictures], path, milliseconds=MILLISECONDS, pause=MILLISECONDS)


def progress(
    parts: Iterable[Tensor], total: int, size: Callable[[Tensor], int] = len, patience: float = PATIENCE
) -> Iterator[Tensor]:
    """The parts, with a bar on the terminal once they take more than a moment."""
    with bar("sampling", total, patience) as advance:
        for part in parts:
            advance(size(part))
            yield part


@contextmanager
def bar(title: str, total: int, patience: float = PATIENCE) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal once it takes more than a moment; what is yielded is told of each advance."""
    view = Progress(console=(console := Console(stderr=True)), transient=True, disable=not console.is_terminal)
    task, begun = view.add_task(title, total=total), monotonic()

    def advance(n: int) -> None:
        if not view.live.is_started and monotonic() - begun > patience:
            view.start()
        view.advance(task, n)

    try:
        yield advance
    finally:
        view.stop()
