"""Checks of the sets that every metric compares: matrices of one width, enough samples, finite numbers.

One NaN, one sample too few or the features of another layer would give a number that looks like an answer, or fail far
from the cause. checked(2, real=real, fake=fake) returns the two in float64 or raises one line that names the set.
"""

import torch
from torch import Tensor

from ganduel.errors import UserError


def checked(least: int, remedy: str = "Draw more.", **sets: Tensor) -> tuple[Tensor, ...]:
    """The sets in float64, in the order given.

    Args:
        least: the number of samples that the metric needs of each set.
        remedy: what to do about too few.
        **sets: matrices (samples, features) by their names in the message.
    """
    for name, x in sets.items():
        if x.ndim != 2 or x.shape[1] == 0:
            raise UserError(
                f"{name} has the shape {tuple(x.shape)}, but a metric compares rows of features (samples, features). "
                f"Try {name}.flatten(1), or features of it."
            )
    widths = [f"{name} has {x.shape[1]}" for name, x in sets.items()]
    if len({x.shape[1] for x in sets.values()}) > 1:
        raise UserError(
            f"The numbers of features differ ({', '.join(widths)}), so there is no distance between the sets. "
            "Take all features from one place."
        )
    for name, x in sets.items():
        if len(x) < least:
            raise UserError(f"Too few samples in {name}: {len(x)}, where the metric needs {least} or more. {remedy}")
        broken = len(x) - int(torch.isfinite(x).all(1).sum())
        if broken:
            raise UserError(
                f"{name} holds NaN or infinite numbers, in {broken} of its {len(x)} samples, so the result would mean "
                "nothing. See whether the generator diverged before this checkpoint, and take an earlier one."
            )
    return tuple((x.cpu() if x.is_mps else x).double() for x in sets.values())  # MPS has no float64
