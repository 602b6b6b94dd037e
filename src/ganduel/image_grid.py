"""Generating samples, and showing them: a batch as one image, a sequence of images as an animation."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ganduel.data.base import denormalise
from ganduel.errors import UserError
from ganduel.types import Bytes, Images, Labels, Noise, Samples

GAP = 2  # pixels between two images of a grid
BACKGROUND = 255  # the value of the gap


def columns_of(n: int) -> int:
    """The number of columns of the most nearly square grid of n images."""
    return math.ceil(math.sqrt(n))


def make_grid(images: Images | Bytes, columns: int | None = None) -> Image.Image:
    """One image of all, row by row; as nearly square as possible unless the number of columns is given."""
    n, channels, height, width = images.shape
    columns = columns_of(n) if columns is None else columns
    rows = math.ceil(n / columns)
    canvas = torch.full((rows * columns, channels, height + GAP, width + GAP), BACKGROUND, dtype=torch.uint8)
    canvas[:n, :, :height, :width] = images if images.dtype == torch.uint8 else denormalise(images)
    canvas = canvas.unflatten(0, (rows, columns)).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    return Image.fromarray(np.ascontiguousarray(canvas[:-GAP, :-GAP].squeeze(-1).numpy()))


def make_grid_of_classes(images: Images | Bytes, classes: int | None) -> Image.Image:
    """As `make_grid`; of images whose classes are 0, 1, …, 0, 1, … a row for each class, of as many as all have."""
    each = len(images) // classes if classes else 0
    if classes is None or each == 0:
        return make_grid(images)
    return make_grid(images[: each * classes].unflatten(0, (each, classes)).transpose(0, 1).flatten(0, 1), each)


def animate(frames: Sequence[Path | Image.Image], path: Path, milliseconds: int = 250, pause: int = 2000) -> None:
    """Write the frames as an endless GIF that rests on the last one."""
    with ExitStack() as files:
        images = [files.enter_context(Image.open(f, formats=("PNG",))) if isinstance(f, Path) else f for f in frames]
        durations = [milliseconds] * (len(images) - 1) + [pause]
        images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0)


def class_labels(generator: nn.Module, n: int, start: int = 0) -> Labels | None:
    """The labels start mod classes, start + 1 mod classes, … of n samples; None if G takes no labels."""
    classes = getattr(generator, "classes", None)
    return None if classes is None else torch.arange(start, start + n) % classes


@torch.no_grad()
def generate(generator: nn.Module, noise: Noise, batch: int = 500, labels: Labels | None = None) -> Samples:
    """G's samples on the CPU, in bounded memory on the device; G's mode is left as it was.

    Args:
        generator: G or its average.
        noise: z.
        batch: samples per forward pass.
        labels: the class of each sample, if G takes labels; None: 0, 1, …, classes − 1, and again from 0.
    """
    like = next(generator.parameters(), noise)  # its device and dtype
    if labels is None:
        labels = class_labels(generator, len(noise))

    def forward(z: Noise, y: Labels | None) -> Samples:
        z = z.to(like)
        return (generator(z) if y is None else generator(z, y.to(z.device))).float().cpu()

    label_batches = repeat(None) if labels is None else labels.split(batch)
    with evaluating(generator):
        return torch.cat([forward(z, y) for z, y in zip(noise.split(batch), label_batches, strict=False)])


def generate_stored(
    generator: nn.Module,
    noise: Noise,
    shape: Sequence[int],
    image: bool,
    batch: int = 500,
    name: str = "G",
    labels: Labels | None = None,
) -> Tensor:
    """G's samples as a file would hold them: images as bytes, all else as float32.

    Args:
        generator: G or its average.
        noise: z.
        shape: of one sample of the data.
        image: whether it is an image.
        batch: samples per forward pass.
        name: which weights these are, for error messages.
        labels: as in `generate`.
    """
    samples = generate(generator, noise, batch, labels)
    if samples.shape[1:] != tuple(shape):
        raise UserError(f"G makes samples of shape {tuple(samples.shape[1:])}, and its data have {tuple(shape)}.")
    if not samples.isfinite().all():
        raise UserError(f"{name} gives NaN or infinity: the run diverged.")
    return denormalise(samples) if image else samples


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards each layer has its own mode again, also a frozen one in a training net."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
