"""What all formats share: the inputs of a generator, and the comparison of what was exported with it."""

from collections.abc import Callable

import torch
from torch import Tensor

from ganduel.errors import UserError
from ganduel.model.base import conditioned
from ganduel.trained.generator import TrainedGenerator

INPUTS = ("noise", "labels")
SIZES = (5, 64)  # batches that are compared: another one than it was traced with, too
TOLERANCE = 1e-5  # of samples in [−1, 1], and of the largest value beyond


def example(source: TrainedGenerator, n: int) -> tuple[Tensor, ...]:
    """Noise (n, noise_dim) and, of a generator that takes them, labels (n,)."""
    noise = source.noise(n)
    return (noise,) if source.classes is None else (noise, torch.arange(n) % source.classes)


@torch.no_grad()
def check(source: TrainedGenerator, exported: Callable[..., Tensor], name: str) -> str:
    """Compare samples of the two; returns what was found."""
    differences = []
    for n in SIZES:
        inputs = example(source, n)
        expected = conditioned(source.generator, inputs[0], inputs[1] if len(inputs) > 1 else None)
        found = exported(*inputs)
        if found.shape != expected.shape:
            raise UserError(f"{name} gives samples of shape {tuple(found.shape)}, not {tuple(expected.shape)}.")
        differences.append((found - expected).abs().max() / expected.abs().max().clamp(min=1))
    largest = torch.stack(differences).max().item()  # NaN if there is one
    if not largest <= TOLERANCE:
        raise UserError(f"{name} gives samples that differ by up to {largest:.2g}, more than {TOLERANCE:g}.")
    return f"samples of what was written differ by at most {largest:.2g}"
