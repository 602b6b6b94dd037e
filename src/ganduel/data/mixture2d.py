"""Gaussians in the plane around given centres."""

from collections.abc import Sequence

from ganduel.data.mixture import Mixture
from ganduel.errors import UserError


class Mixture2D(Mixture):
    """An equal mixture in the plane.

    Args:
        centres: pairs of coordinates.
        sigma: σ of each Gaussian.
    """

    def __init__(self, centres: Sequence[Sequence[float]], sigma: float = 0.1):
        if any(len(centre) != 2 for centre in centres):
            raise UserError(f"data.centres={list(centres)} must be pairs, such as [[-1,0],[1,0]].")
        super().__init__(centres, sigma)
