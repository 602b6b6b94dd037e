"""Eight Gaussians on a ring, at the angles 2πi/8: the usual test for lost modes.

    pacgan    radius 1, σ 0.01    Lin et al. 2018 (PacGAN, arXiv:1712.04086), table 1, and their published code
    veegan    radius 2, σ 0.02    Metz et al. 2016 (Unrolled GAN, arXiv:1611.02163); its notebook has the others

The two are the same shape at two scales; modes are counted on such a ring in Srivastava et al. 2017 (VEEGAN,
arXiv:1705.07761), table 1. There are eight distinct centres: `linspace(0, 2π, 8)`, as in the published notebook of
Unrolled GAN, has both ends and so gives seven.
"""

import math
from typing import Literal

from ganduel.data.mixture import Mixture
from ganduel.errors import UserError, nearest

Preset = Literal["pacgan", "veegan"]
PRESETS: dict[str, tuple[float, float]] = {"pacgan": (1.0, 0.01), "veegan": (2.0, 0.02)}


class Ring8(Mixture):
    """The ring.

    Args:
        preset: whose radius and σ are taken.
        radius: instead of the preset's.
        sigma: instead of the preset's.
    """

    def __init__(self, preset: Preset = "veegan", radius: float | None = None, sigma: float | None = None):
        if preset not in PRESETS:
            raise UserError(f"data.preset={preset} is not known. {nearest(preset, PRESETS)}")
        radius = PRESETS[preset][0] if radius is None else radius
        if not radius > 0:
            raise UserError(f"data.radius={radius} must be positive.")
        angles = [2 * math.pi * i / 8 for i in range(8)]
        centres = [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]
        super().__init__(centres, PRESETS[preset][1] if sigma is None else sigma)
