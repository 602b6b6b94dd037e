"""Train the classifiers whose features the metrics use, and write them where they are shipped.

    python scripts/train_mnist_cnn.py                          mnist_cnn, on MNIST
    python scripts/train_mnist_cnn.py --data fashion_mnist     fashion_cnn

Trained on the first 50,000 training images by Adam with a one-cycle schedule; the test images are used for the stated
accuracy only. With the weights (safetensors) goes a record: how they were trained, their accuracy, their checksum.
"""

import argparse
import json
import time
from importlib import import_module

import torch
from safetensors.torch import save
from torch.nn.functional import cross_entropy

from ganduel import rng
from ganduel.data.mnist import MNIST
from ganduel.metric.features import ASSETS, Classifier, checksum
from ganduel.tracking.provenance import provenance

SETS = {"mnist": ("MNIST", "mnist_cnn", 4), "fashion_mnist": ("FashionMNIST", "fashion_cnn", 12)}
BATCH, RATE, PEAK = 128, 1e-3, 3e-3


def train(data: MNIST, epochs: int) -> Classifier:
    """The classifier, a function of the data alone but for rounding."""
    with rng.seeded(0, "classifier"):
        net = Classifier()
    images, labels = data.images("train"), data.labels("train")
    steps = len(images) // BATCH
    optimizer = torch.optim.Adam(net.parameters(), RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=epochs * steps)
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=rng.generator(0, "classifier", epoch))
        for rows in order.split(BATCH)[:steps]:
            loss = cross_entropy(net(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def accuracy(net: Classifier, images: torch.Tensor, labels: torch.Tensor) -> float:
    predicted = torch.cat([net(part).argmax(1) for part in images.split(1000)])
    return (predicted == labels).double().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", choices=SETS, default="mnist")
    parser.add_argument("--dir", help="a folder with the four IDX files")
    options = parser.parse_args()
    class_name, name, epochs = SETS[options.data]
    data = getattr(import_module(f"ganduel.data.{options.data}"), class_name)(dir=options.dir)
    started = time.monotonic()
    net = train(data, epochs)
    seconds = time.monotonic() - started
    weights = save({key: value.contiguous() for key, value in net.state_dict().items()})
    origin = provenance()
    record = {
        "sha256": checksum(weights),
        "data": options.data,
        "trained_on": "the first 50,000 training images",
        "accuracy": {split: accuracy(net, data.images(split), data.labels(split)) for split in ("validation", "test")},
        "method": f"{epochs} epochs, batch {BATCH}, Adam, one-cycle schedule up to {PEAK:g}, cross-entropy",
        "parameters": sum(p.numel() for p in net.parameters()),
        "seconds": round(seconds, 1),
        "versions": {key: origin["versions"][key] for key in ("python", "torch")},
        "script": "scripts/train_mnist_cnn.py",
    }
    ASSETS.mkdir(exist_ok=True)
    (ASSETS / f"{name}.safetensors").write_bytes(weights)
    (ASSETS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"{name}: {record['accuracy']['test']:.2%} of the test images right, after {seconds:.0f} s")


if __name__ == "__main__":
    main()
