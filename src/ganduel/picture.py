"""Pictures of samples: a batch tiled into one image, a sequence of images as an animation."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganduel.data.base import denormalise
from ganduel.types import Images

GAP = 2  # pixels between two tiles
PAPER = 255  # the value of the gap


def is_image(shape: Sequence[int]) -> bool:
    """Whether samples of this shape are pictures: (1 or 3, height, width)."""
    return len(shape) == 3 and shape[0] in (1, 3)


def tile(images: Images, columns: int | None = None) -> Image.Image:
    """One picture of all images, row by row; as near to a square as it gets unless the columns are given."""
    n, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(n)) if columns is None else columns
    rows = math.ceil(n / columns)
    canvas = torch.full((rows * columns, channels, height + GAP, width + GAP), PAPER, dtype=torch.uint8)
    canvas[:n, :, :height, :width] = denormalise(images).cpu()
    canvas = canvas.unflatten(0, (rows, columns)).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    return Image.fromarray(np.ascontiguousarray(canvas[:-GAP, :-GAP].squeeze(-1).numpy()))


def animate(frames: Sequence[Path | Image.Image], path: Path, milliseconds: int = 250, pause: int = 2000) -> None:
    """Write the frames as an endless GIF that rests on the last one."""
    pictures = [Image.open(frame) if isinstance(frame, Path) else frame for frame in frames]
    durations = [milliseconds] * (len(pictures) - 1) + [pause]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


@torch.no_grad()
def generate(generator: torch.nn.Module, noise: Tensor, batch: int = 500) -> Tensor:
    """G's samples for the noise, on the CPU, in bounded memory on the device; G's mode is left as it was."""
    training = generator.training
    generator.eval()
    try:
        device = next(generator.parameters()).device
        return torch.cat([generator(z.to(device)).float().cpu() for z in noise.split(batch)])
    finally:
        generator.train(training)
