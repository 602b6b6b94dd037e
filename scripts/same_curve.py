"""Digests of short runs, to show that a change of the code changes no number: python scripts/same_curve.py [-o FILE].

    name                weights       moments       average       rows
    nonsaturating       0f3c…         …             …             …

Each configuration trains for 60 iterations in a process of its own, on one thread. A digest is the beginning of the
SHA-256 of tensors of the last checkpoint (G and D; the optimizers' state; the average of G), or of the logged rows
without times. Digests depend on the machine and on torch: compare two versions of the code on one machine.

    python scripts/same_curve.py -o before.json
    …
    python scripts/same_curve.py --against before.json
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

TRAIN = Path(__file__).parents[1] / "train.py"
ITERATIONS = 60
COMMON = (
    "tracking=none",
    "trainer.accelerator=cpu",
    "engine=eager",
    "log_every=10",
    "callback=[statistics,saturation]",
)
POINTS = ("data=ring8", "batch_size=32", "model.generator.hidden=[32,32]", "model.discriminator.hidden=[32,32]")
IMAGES = ("batch_size=32", "model.generator.hidden=[32]", "model.discriminator.hidden=[32]")
CONFIGURATIONS: dict[str, tuple[str, ...]] = {
    "nonsaturating": POINTS,
    "saturating": (*POINTS, "loss=saturating"),
    "mnist": IMAGES,
    "r1": (*IMAGES, "penalty=r1", "penalty.r1.gamma=0.1"),
    "k=2": (*POINTS, "k=2", "penalty=r1"),
    "batch norm": (*POINTS, "model.generator.norm=batch", "model.discriminator.norm=batch"),
    "layer norm": (*POINTS, "model.generator.norm=layer", "model.discriminator.norm=layer"),
    "spectral norm": (*POINTS, "model.discriminator.norm=spectral"),
    "dropout": (*POINTS, "model.discriminator.dropout=0.3"),
    "clip": (*POINTS, "clip.discriminator=0.1", "clip.generator=0.1"),
    "cosine": (*POINTS, "schedule=cosine"),
    "momentum": (*POINTS, "optimizer=sgd", "schedule=goodfellow2014"),
    "bf16": (*IMAGES, "trainer.precision=bf16-mixed", "penalty=r1"),
    "float64": (*POINTS, "trainer.precision=64-true", "k=2"),
    "two ranks": (*POINTS, "trainer.devices=2"),
    "resumed": POINTS,
    "population": (*POINTS, "population.seeds=3", "population.processes=1", "trainer.precision=64-true"),
}
TIMES = ("seconds", "speed/images_per_second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="configurations to run; all by default")
    parser.add_argument("-o", "--out", type=Path, help="write the digests to this file, as JSON")
    parser.add_argument("--against", type=Path, help="exit with 1 if digests differ from those of this file")
    arguments = parser.parse_args()
    names = arguments.names or list(CONFIGURATIONS)
    with TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = dict(zip(names, pool.map(lambda name: digests_of(name, Path(folder)), names), strict=True))
    before = {} if arguments.against is None else json.loads(arguments.against.read_text(encoding="utf-8"))
    different = 0
    for name, row in digests.items():
        changed = [key for key in row if name in before and before[name][key] != row[key]]
        different += bool(changed)
        remark = f"  other {', '.join(changed)}" if changed else ""
        print(f"{name:16}", *row.values(), remark, sep="  ", flush=True)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
    if before:
        print(f"{different} of {len(digests)} differ" if different else "digests equal")
    sys.exit(1 if different else 0)


def digests_of(name: str, parent: Path) -> dict[str, str]:
    """Train the configuration and return its digests."""
    folder = parent / name.replace(" ", "_").replace("=", "")
    words = (*COMMON, *CONFIGURATIONS[name])
    if name == "resumed":
        train(*words, f"hydra.run.dir={folder}", f"trainer.max_steps={ITERATIONS // 2}")
        train(f"resume={folder}", "trainer.accelerator=cpu", f"trainer.max_steps={ITERATIONS}")
    else:
        train(*words, f"hydra.run.dir={folder}", f"trainer.max_steps={ITERATIONS}")
    runs = sorted(path.parent for path in folder.rglob("metrics.jsonl"))
    checkpoints = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in runs]
    states = [checkpoint["state_dict"] for checkpoint in checkpoints]
    networks = ("generator.", "discriminator.")
    return {
        "weights": digest([{k: v for k, v in state.items() if k.startswith(networks)} for state in states]),
        "moments": digest([checkpoint["optimizer_states"] for checkpoint in checkpoints]),
        "average": digest([{k: v for k, v in state.items() if k.startswith("ema.")} for state in states]),
        "rows": digest([rows(run / "metrics.jsonl") for run in runs]),
    }


def train(*words: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(TRAIN), *words], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"train.py {' '.join(words)}\n{done.stderr}")


def rows(path: Path) -> list[list[float]]:
    """Each row's values without times, by their keys."""
    read = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [[value for key, value in sorted(row.items()) if key not in TIMES] for row in read]


def digest(tree: Any) -> str:
    """The beginning of the SHA-256 of the tensors and numbers in nested containers, in their order."""
    found = sha256()
    for leaf in leaves(tree):
        found.update(leaf.contiguous().numpy().tobytes() if isinstance(leaf, torch.Tensor) else repr(leaf).encode())
    return found.hexdigest()[:12]


def leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        for key in sorted(tree, key=str):
            yield from leaves(tree[key])
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from leaves(item)
    else:
        yield tree


if __name__ == "__main__":
    main()
