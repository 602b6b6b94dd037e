"""Files in the form of CIFAR-10's, with made-up images."""

import pickle
from pathlib import Path

import numpy as np
import torch

NAMES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")


def made_up(each: int = 4) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images (each, 3072) and classes of the six files."""
    draw = np.random.default_rng(0).integers
    return {name: (draw(0, 256, (each, 3072), np.uint8), draw(0, 10, each, np.uint8)) for name in NAMES}


def write_binary(folder: Path, files: dict[str, tuple[np.ndarray, np.ndarray]]) -> Path:
    folder.mkdir(parents=True)
    for name, (images, labels) in files.items():
        np.concatenate([labels[:, None], images], 1).tofile(folder / f"{name}.bin")
    return folder


def write_pickled(folder: Path, files: dict[str, tuple[np.ndarray, np.ndarray]]) -> Path:
    """As Python 2 wrote them: keys of bytes, labels as a list, and numpy by the name that it had."""
    folder.mkdir(parents=True)
    for name, (images, labels) in files.items():
        content = pickle.dumps({b"data": images, b"labels": labels.tolist()}, protocol=2)
        (folder / name).write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    return folder


def as_tensor(files: dict[str, tuple[np.ndarray, np.ndarray]], *names: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The images (n, 3, 32, 32) and classes of the named files."""
    images, labels = (np.concatenate([files[name][i] for name in names]) for i in (0, 1))
    return torch.from_numpy(images).reshape(-1, 3, 32, 32), torch.from_numpy(labels).long()
