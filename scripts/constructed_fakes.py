"""How the metrics see faults that are put into real images: python scripts/constructed_fakes.py.

10,000 training images of MNIST instead of samples, as they are and with one fault each; benchmarks/fakes.json.
"""

import argparse
import json
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ganduel import rng
from ganduel.data.base import normalise
from ganduel.data.mnist import MNIST
from ganduel.metric.evaluation import Evaluation, number
from ganduel.metric.registry import applicable
from ganduel.model.base import Generator
from ganduel.tracking.provenance import provenance

OUT = Path(__file__).resolve().parent.parent / "benchmarks" / "fakes.json"
MEMORY = 100  # images that the memorising generator knows


class Replay(Generator):
    """Makes the given samples one after another, whatever the noise."""

    def __init__(self, samples: Tensor):
        super().__init__(noise_dim=1)
        self.samples, self.next = samples, 0

    def forward(self, z: Tensor) -> Tensor:
        rows = self.samples[self.next : self.next + len(z)]
        self.next = (self.next + len(z)) % len(self.samples)
        return rows


def fakes(data: MNIST, n: int) -> dict[str, Tensor]:
    """N training images as they are, and with each fault."""
    order = torch.randperm(50_000, generator=rng.generator(0, "fakes"))
    images, labels = normalise(data.images("train")[order]), data.labels("train")[order]
    good = images[:n]
    return {
        "real": good,
        "blurred (mean of 3 × 3)": avg_pool2d(good, 3, 1, 1),
        "shifted by 2 pixels": good.roll(2, 3),
        "without the digit 4": images[labels != 4][:n],
        f"{MEMORY} images only": good[torch.arange(n) % MEMORY],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    data = MNIST()
    evaluation = Evaluation(data, [type(metric)(options.samples) for metric in applicable(data)])
    results = {}
    for name, images in fakes(data, options.samples).items():
        metrics = evaluation(Replay(images))
        results[name] = {key: value.value for key, value in metrics.items()}
        results["floor"] = {key: value.floor for key, value in metrics.items()}
    view = Table("fake", *(key.partition("/")[0] for key in results["floor"]))
    for name, values in results.items():
        view.add_row(name, *map(number, values.values()))
    Console().print(view)
    origin = provenance()
    record = {"results": results, **{key: origin[key] for key in ("versions", "git", "created")}}
    options.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
