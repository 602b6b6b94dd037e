"""Whether samples can be trained on: looked at once, when data are built.

    refused      NaN or infinity; images of integers that are no bytes
    converted    images of integers from 0 to 255, to bytes
    warned of    floats of an image's shape outside [−1, 1], or within [0, 1] alone; bytes that are 0 and 1 alone

Networks see images in [−1, 1]: bytes become that, floats are taken to be in it, pictures and metrics clamp to it.
Samples of any other shape are points, and may have any finite value.
"""

import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ganduel.environment import rank_from_environment
from ganduel.errors import UserError

ROWS = 1024  # samples that are looked at together, where a look needs memory
TOLERANCE = 1e-3  # beyond [−1, 1], by rounding

log = logging.getLogger("ganduel")


def is_image(shape: Sequence[int], stored_as_bytes: bool = False) -> bool:
    """Whether samples of this shape are images: (1 or 3, height, width); of bytes 2 or 4 too, these with alpha."""
    return len(shape) == 3 and shape[0] in ((1, 2, 3, 4) if stored_as_bytes else (1, 3))


def checked(samples: Tensor, name: str) -> Tensor:
    """All samples of the data of that name, (n, *shape), as they are stored."""
    if samples.numel() == 0:
        raise UserError(f"{name} has no samples: they are of shape {tuple(samples.shape)}.")
    if is_image(samples.shape[1:]) and not samples.is_floating_point() and samples.dtype != torch.uint8:
        samples = to_bytes(samples, name)
    check_values(samples, name)
    return samples


def check_minibatch(samples: Tensor, shape: Sequence[int], name: str) -> None:
    """Check the first minibatch of the data of that name, whose samples are of a shape."""
    if samples.shape[1:] != tuple(shape):
        raise UserError(f"{name}.minibatch() gives samples of shape {tuple(samples.shape[1:])}, not {tuple(shape)}.")
    if not samples.is_floating_point():
        raise UserError(f"{name}.minibatch() gives {samples.dtype}: give floats, by ganduel.data.base.normalise.")
    check_values(samples, f"the first minibatch of {name}")


def to_bytes(images: Tensor, name: str) -> Tensor:
    """Images of integers as bytes."""
    low, high = images.min().item(), images.max().item()
    if not 0 <= low <= high <= 255:
        raise UserError(
            f"{name} has images of {images.dtype} from {low} to {high}. Give bytes from 0 to 255, or floats in [−1, 1]."
        )
    return images.to(torch.uint8)


def check_values(samples: Tensor, name: str) -> None:
    """Refuse what is not finite; warn of images of another range than is taken for granted."""
    if not samples.is_floating_point():
        if samples.dtype == torch.uint8 and all(bool((part <= 1).all()) for part in samples.split(ROWS)):
            warn_of_bits(samples, name)
        return
    low, high = (value.item() for value in samples.aminmax())  # NaN if one is
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UserError(f"{name} has {non_finite(samples)}. Mend these samples, or leave them out.")
    if is_image(samples.shape[1:]) and (advice := range_advice(low, high)) is not None:
        warn(f"{name} has images of floats from {low:.4g} to {high:.4g}, which are taken to be in [−1, 1]. {advice}")


def warn_of_bits(samples: Tensor, name: str) -> None:
    if samples.any():
        warn(f"{name} has bytes that are 0 and 1 alone, next to black. Multiply them by 255.")


def range_advice(low: float, high: float) -> str | None:
    """How floats in this range become images in [−1, 1]; None if they are."""
    if low >= 0 and high <= 1 + TOLERANCE:
        return "If 0 is black and 1 white, give 2 * x - 1."
    if low >= -1 - TOLERANCE and high <= 1 + TOLERANCE:
        return None
    if low >= 0 and high <= 255:
        return "If 0 is black and 255 white, give x / 127.5 - 1."
    return "What is outside is cut off in pictures and metrics: scale them."


def non_finite(samples: Tensor) -> str | None:
    """Where there is NaN or infinity, in words; None: nowhere."""
    finite = torch.cat([part.flatten(1).isfinite().all(1) for part in samples.split(ROWS)])
    bad = (~finite).nonzero().flatten()
    if len(bad) == 0:
        return None
    kind = "NaN" if samples[bad[0]].isnan().any() else "infinity"
    return f"{kind} in {len(bad):,} of {len(samples):,} samples (the first has index {bad[0]})"


def warn(message: str) -> None:
    """Log a warning, on the first rank."""
    if rank_from_environment() == 0:
        log.warning("%s", message)
