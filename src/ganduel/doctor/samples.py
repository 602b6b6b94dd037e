"""What the real samples say: their range, and holes in them."""

import math

import numpy as np
import torch
from torch import Tensor

from ganduel.data.base import Data
from ganduel.data.check import range_advice
from ganduel.doctor.base import Finding

LOOKED_AT = 10_000  # samples, at most,
MEMORY = 2**28  # and bytes, if they are floats
DUPLICATES = BLANK = 0.01  # shares; shipped data have none


def looked_at(data: Data) -> Tensor:
    """Training samples as they are stored, all of them or as many as are looked at."""
    n, count = min(LOOKED_AT, MEMORY // (4 * math.prod(data.shape))), data.count("train")
    return data.reference("train", n if count is None else min(count, n))


def image_range(samples: Tensor) -> list[Finding]:
    """Images of another range than is taken for granted; ganduel.data.check says the same when a run begins."""
    low, high = samples.min().item(), samples.max().item()
    if samples.dtype == torch.uint8 and high <= 1:
        evidence, advice = f"bytes from {low} to {high}, next to black", "Multiply them by 255."
    elif samples.is_floating_point() and (reason := range_advice(low, high)) is not None:
        evidence, advice = f"floats from {low:.4g} to {high:.4g}, taken to be in [−1, 1]", reason
    else:
        return []
    return [Finding("range of the images", evidence, advice, "warning")]


def holes(samples: Tensor, image: bool) -> list[Finding]:
    """Samples that are equal to others, or of one value; coordinates that are constant."""
    findings, n, rows = [], len(samples), samples.flatten(1)
    if (equal := repeated(rows)) > DUPLICATES * n:
        evidence = f"{equal:,} of {n:,} training samples are equal to another"
        findings.append(Finding("samples repeat", evidence, "Leave them out.", "warning"))
    if image and (blank := int((rows == rows[:, :1]).all(1).sum())) > BLANK * n:
        evidence = f"{blank:,} of {n:,} training images are of one value"
        findings.append(Finding("blank images", evidence, "Leave them out.", "warning"))
    if not image and (constant := (rows == rows[0]).all(0).nonzero().flatten().tolist()):
        evidence = f"coordinate {constant[0]} is {rows[0, constant[0]]:.3g} in all {n:,} training samples"
        more = f", and {len(constant) - 1} more are constant" if len(constant) > 1 else ""
        findings.append(Finding("constant coordinates", evidence + more, "Leave them out.", "warning"))
    return findings


def repeated(rows: Tensor) -> int:
    """How many rows are equal to another."""
    flat = np.ascontiguousarray(rows.numpy())
    _, counts = np.unique(flat.view(np.dtype((np.void, flat.shape[1] * flat.itemsize))), return_counts=True)
    return int(counts[counts > 1].sum())
