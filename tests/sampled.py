"""Checkpoints of small generators, and what is in the files that are made of them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ganduel.checkpoint import FORMAT
from ganduel.checkpoint_io import AtomicCheckpointIO
from ganduel.factory.part import build
from ganduel.image_grid import GAP
from ganduel.trained.generator import BATCH
from ganduel.trained.load import load

IMAGE, POINT = (1, 5, 4), (2,)


def save(path: Path, shape: tuple[int, ...] = IMAGE, average: bool = True, **knobs: Any) -> Path:
    """A checkpoint after 7 iterations; its G and the average have unrelated weights."""
    output = "tanh" if len(shape) == 3 else "identity"
    node = {"_target_": "ganduel.model.mlp.MLPGenerator", "noise_dim": 6, "hidden": [16], "output": output, **knobs}
    live, mean = build(node, shape=shape), build(node, shape=shape)
    weights = {f"generator.{key}": value for key, value in live.state_dict().items()}
    if average:
        weights |= {f"ema.net.{key}": value for key, value in mean.state_dict().items()}
    about = {"format": FORMAT, "config": {"model": {"generator": node}}, "shape": list(shape)}
    AtomicCheckpointIO().save_checkpoint({"state_dict": weights, "global_step": 7, "ganduel": about}, path)
    return path


def read(path: Path) -> np.ndarray:
    with np.load(path) as archive:
        return archive["samples"]


def tiles(path: Path, columns: int, shape: tuple[int, ...] = IMAGE) -> np.ndarray:
    """The tiles of a grey grid, row by row."""
    with Image.open(path) as picture:
        return cut(np.asarray(picture), columns, shape)


def cut(picture: np.ndarray, columns: int, shape: tuple[int, ...] = IMAGE) -> np.ndarray:
    height, width = shape[1] + GAP, shape[2] + GAP
    rows = (picture.shape[0] + GAP) // height
    cells = [(r * height, c * width) for r in range(rows) for c in range(columns)]
    return np.stack([picture[y : y + shape[1], x : x + shape[2]] for y, x in cells])


def everything(path: Path, n: int, seed: int = 0, batch: int = BATCH) -> torch.Tensor:
    return torch.cat(list(load(path, device="cpu").batches(n, seed, batch=batch)))


def edit(path: Path, **weights: float) -> Path:
    """The checkpoint with all entries of the given weights set to a value."""
    checkpoint = torch.load(path, weights_only=True)
    for name, value in weights.items():
        checkpoint["state_dict"][name.replace("__", ".")].fill_(value)
    torch.save(checkpoint, path)
    return path
