"""One Gaussian on the line, N(μ, σ²): data for which an affine generator's density is known exactly."""

from ganduel.data.mixture import Mixture


class Gaussian1D(Mixture):
    """N(mean, sigma²).

    Args:
        mean: μ.
        sigma: σ.
    """

    licence = "none: samples are computed"

    def __init__(self, mean: float = 4.0, sigma: float = 1.25):
        super().__init__([[mean]], sigma)
