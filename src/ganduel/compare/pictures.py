"""The runs' sample grids as data URIs within a size limit; beyond it iterations are left out first, then seeds."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganduel.compare.curves import subsample
from ganduel.compare.reading import Run

PICTURES = 5_000_000  # bytes of all pictures


def pictures(runs: Sequence[Run]) -> tuple[list[str], list[dict[str, Any]]]:
    """The pictures within the size limit as data URIs, and per run the indices of its own, by name and by iteration."""
    files = [path for run in runs for path in (*run.pictures.values(), *run.stills.values())]
    sizes = {path: path.stat().st_size for path in files if path.is_file()}
    iterations = sorted({iteration for run in runs for iteration in run.pictures})
    shown = list(runs)
    while shown and total(shown, iterations, sizes) > PICTURES:
        seeds = sorted({run.config["seed"] for run in shown})
        if len(iterations) > 8:
            iterations = subsample(np.array(iterations), max(8, len(iterations) * 3 // 4)).tolist()
        elif len(seeds) > 1:
            shown = [run for run in shown if run.config["seed"] in seeds[: -(-len(seeds) // 2)]]
        elif len(iterations) > 2:
            iterations = subsample(np.array(iterations), max(2, len(iterations) // 2)).tolist()
        else:
            shown = shown[: len(shown) // 2]
    images: list[str] = []
    index_of: dict[bytes, int] = {}

    def embed(path: Path) -> int:
        data = path.read_bytes()
        if data not in index_of:
            index_of[data] = len(images)
            images.append("data:image/png;base64," + base64.b64encode(data).decode())
        return index_of[data]

    folders, selected = {run.folder for run in shown}, set(iterations)
    gallery: list[dict[str, Any]] = []
    for run in runs:
        grids = {
            n: path for n, path in run.pictures.items() if run.folder in folders and n in selected and path in sizes
        }
        stills = {name: path for name, path in run.stills.items() if grids and path in sizes}
        gallery.append(
            {
                "grids": [[n, embed(path)] for n, path in grids.items()],
                "stills": {name: embed(path) for name, path in stills.items()},
            }
        )
    return images, gallery


def total(runs: Sequence[Run], iterations: Sequence[int], sizes: Mapping[Path, int]) -> int:
    """The bytes of these runs' pictures of these iterations, and of those that have no iteration."""
    return sum(
        sizes.get(path, 0)
        for run in runs
        for path in (*(path for n, path in run.pictures.items() if n in iterations), *run.stills.values())
    )
