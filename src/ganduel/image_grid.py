"""Pictures of samples: a batch tiled into one image, a sequence of images as an animation."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ganduel.data.base import denormalise
from ganduel.errors import UserError
from ganduel.types import Bytes, Images

GAP = 2  # pixels between two tiles
PAPER = 255  # the value of the gap


def is_image(shape: Sequence[int]) -> bool:
    """Whether samples of this shape are pictures: (1 or 3, height, width)."""
    return len(shape) == 3 and shape[0] in (1, 3)


def columns_of(n: int) -> int:
    """The columns that make n tiles as near to a square as it gets."""
    return math.ceil(math.sqrt(n))


def tile(images: Images | Bytes, columns: int | None = None) -> Image.Image:
    """One picture of all images, row by row; as near to a square as it gets unless the columns are given."""
    n, channels, height, width = images.shape
    columns = columns_of(n) if columns is None else columns
    rows = math.ceil(n / columns)
    canvas = torch.full((rows * columns, channels, height + GAP, width + GAP), PAPER, dtype=torch.uint8)
    canvas[:n, :, :height, :width] = images if images.dtype == torch.uint8 else denormalise(images)
    canvas = canvas.unflatten(0, (rows, columns)).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    return Image.fromarray(np.ascontiguousarray(canvas[:-GAP, :-GAP].squeeze(-1).numpy()))


def animate(frames: Sequence[Path | Image.Image], path: Path, milliseconds: int = 250, pause: int = 2000) -> None:
    """Write the frames as an endless GIF that rests on the last one."""
    with ExitStack() as files:
        pictures = [files.enter_context(Image.open(f)) if isinstance(f, Path) else f for f in frames]
        durations = [milliseconds] * (len(pictures) - 1) + [pause]
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


@torch.no_grad()
def generate(generator: nn.Module, noise: Tensor, batch: int = 500) -> Tensor:
    """G's samples for the noise, on the CPU, in bounded memory on the device; G's mode is left as it was."""
    like = next(generator.parameters(), noise)  # its device and type
    with evaluating(generator):
        return torch.cat([generator(z.to(like)).float().cpu() for z in noise.split(batch)])


def render(generator: nn.Module, noise: Tensor, shape: Sequence[int], batch: int = 500, name: str = "G") -> Tensor:
    """G's samples for the noise as a file would hold them: images as bytes, all else as float32.

    Args:
        generator: G or its average.
        noise: z.
        shape: of one sample of the data.
        batch: samples that G makes together.
        name: which weights these are, for an error's sake.
    """
    made = generate(generator, noise, batch)
    if made.shape[1:] != tuple(shape):
        raise UserError(f"G makes samples of shape {tuple(made.shape[1:])}, and its data have {tuple(shape)}.")
    if not made.isfinite().all():
        raise UserError(f"{name} gives NaN or infinity: the run diverged.")
    return denormalise(made) if is_image(shape) else made


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; each layer then has its own mode again, also one that is frozen in a net that trains."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
