"""`metric=parzen`: the log-likelihood of the test images under a Parzen window of samples; key parzen, in nats.

By the protocol of Goodfellow et al. 2014, section 5 and table 1, with the sizes of their published code: 10,000
samples, pixels in [0, 1], σ chosen from logspace(−1, 0, 10) on the first 1,000 of the last 10,000 training images. A
model should then be trained on the first 50,000 alone (`data.train_on=train`). `parzen_se` is the standard error
std/√n over the test images, `parzen_sigma` the σ chosen. Theis et al. 2016 (arXiv:1511.01844) show how little this
says of a model; it is here for comparison with the published figures. The formula: ganduel.metric.functional.parzen.
"""

import math

import torch

from ganduel.data.base import Data, TensorData
from ganduel.metric.base import SampleMetric
from ganduel.metric.features import FakeFeatures, Features, extractor
from ganduel.metric.functional.parzen import SIGMAS, choose_sigma, parzen_log_likelihood
from ganduel.types import Scalar

VALIDATION = 1000


class Parzen(SampleMetric):
    """Mean log-likelihood of the real samples, where the generated ones are the windows' centres.

    Args:
        samples: the number of each.
    """

    quantities = {"parzen": True, "parzen_se": None, "parzen_sigma": None}  # noqa: RUF012
    ranges = {"parzen_se": (0.0, math.inf), "parzen_sigma": (SIGMAS[0], SIGMAS[-1])}  # noqa: RUF012
    automatic = False

    def __init__(self, samples: int | None = None):
        super().__init__(samples, "pixels")

    def inapplicable_reason(self, data: Data) -> str | None:
        fits = isinstance(data, TensorData) and "validation" in data.splits and len(data.shape) == 3
        return None if fits and data.count("validation") else "it has no validation images"

    def fit_to(self, data: Data) -> None:
        super().fit_to(data)
        assert isinstance(data, TensorData)
        images = data.samples_of("validation")[:VALIDATION]
        self.validation = extractor("pixels", torch.device("cpu"))(images.cpu())

    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        sigma = choose_sigma(fake, self.validation.to(fake.device), SIGMAS)
        values = parzen_log_likelihood(fake, real, sigma)
        error = values.std() / math.sqrt(len(values))
        return {"parzen": values.mean(), "parzen_se": error, "parzen_sigma": values.new_tensor(sigma)}
