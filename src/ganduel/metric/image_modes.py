"""`metric=image_modes`: how many modes are generated of images that are rendered, and how many samples are such images.

For data that say of any image which mode it is nearest to, and whether it could be one of theirs (`identify`), as
data=sprites does. A sample that could is of high quality, and only these are counted: modes with one or more, and
reverse_kl, KL(p_g ‖ uniform) over the modes in nats; NaN where there is none. Real samples score a high_quality of 1,
and by chance alone a reverse_kl of about (modes − 1)/(2 n). Formulae: ganduel.metric.functional.modes.
"""

import torch

from ganduel.data.base import Data
from ganduel.metric.base import SampleMetric
from ganduel.metric.features import FakeFeatures, Features
from ganduel.metric.functional.modes import mode_ranges, reverse_kl
from ganduel.types import Scalar


class ImageModes(SampleMetric):
    """Modes with a sample of high quality, the share of these, and how unevenly they fall.

    Args:
        samples: the number of samples.
    """

    quantities = {"modes": True, "high_quality": True, "reverse_kl": False}  # noqa: RUF012
    uses_real = False
    default_samples = 2500

    def __init__(self, samples: int | None = None):
        super().__init__(samples, "pixels")

    def inapplicable_reason(self, data: Data) -> str | None:
        return None if hasattr(data, "identify") else "it does not say which mode an image is of"

    def fit_to(self, data: Data) -> None:
        super().fit_to(data)
        self.shape, self.identify = data.shape, getattr(data, "identify", None)
        self.modes: int = getattr(data, "modes", 0)
        self.ranges = {**mode_ranges(self.modes), "high_quality": (0.0, 1.0)}

    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        assert self.identify is not None
        modes, good = self.identify(2 * fake.unflatten(1, self.shape) - 1)
        counts = modes[good].bincount(minlength=self.modes)
        values = {"modes": (counts > 0).sum(), "high_quality": good.double().mean(), "reverse_kl": reverse_kl(counts)}
        return {name: torch.as_tensor(value, dtype=torch.float64) for name, value in values.items()}
