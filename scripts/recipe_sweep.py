"""Compare recipes on MNIST by a Fréchet distance on a classifier's features: python scripts/recipe_sweep.py --help.

Each recipe is a list of overrides of train.py. After a run 10,000 samples of its EMA generator and of its live one are
compared with the 10,000 test images in the features `mnist_cnn`. Also recorded: the classes that their classifier
sees in the samples (the share of the rarest, 10% at best) and how sure it is of them. One JSON line per run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import yaml

from ganduel import checkpoint, rng
from ganduel.data.base import denormalise, normalise
from ganduel.data.mnist import MNIST
from ganduel.factory.part import build
from ganduel.image_grid import generate, make_grid
from ganduel.metric.features import Classifier, load_classifier
from ganduel.metric.functional import frechet_distance

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = 10_000


@torch.no_grad()
def features(net: Classifier, images: torch.Tensor) -> torch.Tensor:
    return torch.cat([net.features(normalise(part)) for part in images.split(1000)])


@torch.no_grad()
def measure(net: Classifier, real: torch.Tensor, run: Path) -> dict:
    """Distances and classes of a run's samples."""
    saved = checkpoint.read(checkpoint.latest(run))
    values, shape = saved["ganduel"]["config"], saved["ganduel"]["shape"]
    result = {}
    for name, prefix in (("ema", "ema.net."), ("live", "generator.")):
        weights = {k.removeprefix(prefix): v for k, v in saved["state_dict"].items() if k.startswith(prefix)}
        if not weights:
            continue
        generator = build(values["model"]["generator"], shape=shape)
        generator.load_state_dict(weights)
        noise = generator.draw(SAMPLES, rng.generator(values["seed"], "recipe"))
        images = denormalise(generate(generator, noise))
        embedded = features(net, images)
        p = net.head(embedded).softmax(1)
        shares = p.argmax(1).bincount(minlength=10) / SAMPLES
        result[f"fd_{name}"] = frechet_distance(real, embedded).item()
        result[f"rarest_{name}"] = shares.min().item()
        result[f"sure_{name}"] = (p.max(1).values > 0.9).float().mean().item()
        if name == "ema":
            make_grid(normalise(images[:100]), 10).save(run / "grid.png")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipes", type=Path, help="a YAML file: {name: [override, …], …}")
    parser.add_argument("--out", type=Path, required=True, help="a file for one JSON line per run, appended to")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "recipes", help="of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--side-by-side", type=int, default=1, help="runs at a time")
    parser.add_argument("--only", nargs="+", help="names of recipes; all without")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    recipes = yaml.safe_load(options.recipes.read_text())
    data = MNIST()
    net, _ = load_classifier("mnist_cnn")
    test = data.images("test")
    right = (net.head(features(net, test)).argmax(1) == data.labels("test")).float().mean().item()
    real = features(net, test)
    draw = torch.randperm(60_000, generator=rng.generator(0, "floor"))[:SAMPLES]
    floor = frechet_distance(real, features(net, data.images("train+validation")[draw])).item()
    print(f"classifier: {right:.2%} of the test set right; distance of {SAMPLES:,} training images: {floor:.2f}")

    def run(job: tuple[str, int]) -> None:
        name, seed = job
        folder = options.folder / f"{name}-seed{seed}"
        command = [sys.executable, str(ROOT / "train.py"), "tracking=none", f"seed={seed}", f"hydra.run.dir={folder}"]
        started = time.monotonic()
        done = subprocess.run([*command, *recipes[name]], capture_output=True, text=True)
        row = {"recipe": name, "seed": seed, "seconds": time.monotonic() - started}
        if done.returncode:
            row["error"] = done.stderr.strip().splitlines()[-1]
        else:
            row |= measure(net, real, folder) | {"overrides": recipes[name], "floor": floor, "classifier": right}
        with options.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(" ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()), flush=True)

    names = options.only or list(recipes)
    with ThreadPoolExecutor(options.side_by_side) as pool:
        list(pool.map(run, [(name, seed) for name in names for seed in options.seeds]))


if __name__ == "__main__":
    main()
