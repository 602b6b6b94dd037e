"""How fast minibatches come from the file of a folder's images, and in how little memory.

    python scripts/larger_than_memory.py --out benchmarks/data_cpu.json

Random images are decoded once. Then an epoch of minibatches is read, each time in a process of its own: from a tensor
of all images; from the file, which the page cache holds; and from the file, which is not in the cache any more, in a
cgroup, if one is named, in which the cache counts as well. That has to be made before, with a limit, such as a third of
what the images take beside the 0.2 GB of Python and torch (cgroup v2: memory.max):

    mkdir /sys/fs/cgroup/memory/small && echo 470M > /sys/fs/cgroup/memory/small/memory.limit_in_bytes

CPU time of one thread per minibatch: other work on the machine adds less to it than to the time that passes, which is
also given, since waiting for a disk takes no CPU time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

from ganduel.data.base import TensorData
from ganduel.data.images import Images
from ganduel.tracking.provenance import provenance

BATCH = 64


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--images", type=int, default=65_536)
    options.add_argument("--side", type=int, default=64, help="pixels")
    options.add_argument("--cgroup", type=Path, help="folder of a memory cgroup with a limit")
    options.add_argument("--out", type=Path, help="a JSON file for the results")
    options.add_argument("--read", help=argparse.SUPPRESS)  # what a process of its own does: WHERE:FOLDER
    asked = options.parse_args()
    if asked.read:
        where, _, folder = asked.read.partition(":")
        print(json.dumps(epoch(where, folder, asked.side)))
        return
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "images"
        draw(folder, asked.images, asked.side)
        os.environ["GANDUEL_CACHE"] = str(Path(home) / "cache")
        started = time.perf_counter()
        size = Images(str(folder), asked.side, held_out=0.0).samples.nbytes
        print(f"{asked.images:,} images decoded in {time.perf_counter() - started:.0f} s, {size / 1e6:.0f} MB")
        rows = {"tensor": read("tensor", folder, asked.side), "file": read("file", folder, asked.side)}
        if asked.cgroup:
            drop_from_page_cache(Path(home) / "cache")
            rows["file in the cgroup"] = read("file", folder, asked.side, asked.cgroup)
    for name, row in rows.items():
        print(name, *(f"{key} {value}" for key, value in row.items()), sep="  ")
    if asked.out:
        results = {"images": asked.images, "side": asked.side, "bytes": size, "batch": BATCH, "rows": rows}
        limits = ("memory.limit_in_bytes", "memory.max")
        found = [asked.cgroup / name for name in limits if asked.cgroup and (asked.cgroup / name).exists()]
        limit = {"limit": int(found[0].read_text())} if found else {}
        asked.out.write_text(json.dumps({**results, **limit, **provenance()}, indent=1) + "\n", encoding="utf-8")


def draw(folder: Path, n: int, side: int) -> None:
    """Images of noise, uncompressed, so that they are made fast."""
    folder.mkdir()
    draws = np.random.default_rng(0)
    for i in range(n):
        Image.fromarray(draws.integers(256, size=(side, side, 3), dtype=np.uint8)).save(folder / f"{i:06d}.bmp")


def drop_from_page_cache(folder: Path) -> None:
    """Let the system forget the files, so that whoever reads them next is charged for them."""
    for path in folder.rglob("*.npy"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(where: str, folder: Path, side: int, cgroup: Path | None = None) -> dict[str, Any]:
    """An epoch in a process of its own, which is in the cgroup before it does anything."""
    command = [sys.executable, __file__, "--side", str(side), "--read", f"{where}:{folder}"]
    enter = None if cgroup is None else lambda: (cgroup / "cgroup.procs").write_text(str(os.getpid()))
    done = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=enter)
    return json.loads(done.stdout.splitlines()[-1])


def epoch(where: str, folder: str, side: int) -> dict[str, Any]:
    """Read all minibatches once, after a few to warm up."""
    torch.set_num_threads(1)
    data: TensorData = Images(folder, side, held_out=0.0)
    if where == "tensor":
        data = TensorData(data.samples.clone())
    n = len(data.samples) // BATCH
    own, cpu, wall = [], [], []
    for t in range(n):
        before, started = time.process_time(), time.perf_counter()
        data.minibatch(0, t, BATCH)
        cpu.append(time.process_time() - before)
        wall.append(time.perf_counter() - started)
        if t in (n // 10, n - 1):
            own.append(own_memory())
    return {
        "cpu_ms": round(1e3 * median(cpu[5:]), 3),
        "wall_ms": round(1e3 * median(wall[5:]), 3),
        "images_per_second": round(BATCH * (n - 5) / sum(wall[5:])),
        "own_mb_after_a_tenth": own[0],
        "own_mb_at_the_end": own[-1],
    }


def own_memory() -> int:
    """Megabytes of this process that no file backs."""
    memory = psutil.Process().memory_info()
    return round((memory.rss - getattr(memory, "shared", 0)) / 1e6)


if __name__ == "__main__":
    main()
