"""Twenty-five Gaussians on the grid {−4, −2, 0, 2, 4}², σ = 0.05.

Source: Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761), table 1; centres and σ as in the published code of Lin et
al. 2018 (PacGAN, arXiv:1712.04086).
"""

from itertools import product

from ganduel.data.mixture import Mixture


class Grid25(Mixture):
    """The grid.

    Args:
        spacing: the distance of neighbouring centres.
        sigma: σ of each Gaussian.
    """

    def __init__(self, spacing: float = 2.0, sigma: float = 0.05):
        coordinates = [spacing * i for i in (-2, -1, 0, 1, 2)]
        super().__init__(list(product(coordinates, coordinates)), sigma)
