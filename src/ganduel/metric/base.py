"""What all metrics of samples share: they gather features of real and generated samples, and compare the two sets.

    metric = FrechetDistance()
    metric.fit_to(data)                        # which features, and whether there is anything to measure
    metric.update(features, real=True)         # as often as there are batches; on every rank its own share
    metric.update(features, real=False)
    metric.compute()                           # {"fd/mnist_cnn_10k": tensor(19.8)}

Keys name the quantity, the features and the number of samples, NAME/FEATURES_SIZE, since the number means nothing
without them. Features are gathered whole (10,000 × 128 floats are 5 MB), over all ranks, and compared in float64.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor

try:
    from torchmetrics import Metric
except ModuleNotFoundError:
    # torchmetrics reads torch-fidelity, which without torchvision fails after its Inception: again, and that is found.
    from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganduel.data.base import Data, Split
from ganduel.errors import UserError
from ganduel.metric.features import EXTRACTORS, FakeFeatures, Features
from ganduel.types import Scalar


class SampleMetric(Metric, ABC):
    """Compares a set of generated samples with one of real samples.

    Args:
        samples: how many of each; None: what the metric's source uses, or 10,000.
        features: the name of the features; None: the data's own.

    Attributes:
        features: the name of the features; empty until `fit_to` says which, if it is left to the data.
        quantities: what `compare` returns, and for each whether more is better; None: neither.
        version: raised when the same samples would give another number than before.
        uses_real: whether `compare` looks at the real samples; metrics of known modes do not.
        automatic: whether it is taken for all data that it fits, or only when it is asked for.
    """

    quantities: Mapping[str, bool | None]
    version: int = 1
    uses_real: bool = True
    automatic: bool = True
    full_state_update = False
    default_samples = 10_000
    real: list[Tensor]
    fake: list[Tensor]

    def __init__(self, samples: int | None = None, features: str | None = None):
        super().__init__()
        self.samples = self.default_samples if samples is None else samples
        if self.samples < 2:
            raise UserError(f"{self.label}.samples={self.samples}: a set of samples has at least 2.")
        if features is not None and features not in EXTRACTORS:
            raise UserError(f"{self.label}.features={features} is not known. There are: {', '.join(EXTRACTORS)}.")
        self.features = features or ""
        self.add_state("real", default=[], dist_reduce_fx="cat")
        self.add_state("fake", default=[], dist_reduce_fx="cat")

    @property
    def label(self) -> str:
        """How the metric is chosen on the command line."""
        return f"metric.{type(self).__module__.rpartition('.')[2]}"

    @property
    def knobs(self) -> dict[str, Any]:
        """What else than features and number of samples its value depends on, for the protocol."""
        return {}

    def why_not(self, data: Data) -> str | None:
        """Why these data have nothing for it to measure, in words; None if they have."""
        return None if self.features or data.features else "nothing is known to be its features"

    def fit_to(self, data: Data) -> None:
        """Take from the data what the metric needs of them."""
        if (reason := self.why_not(data)) is not None:
            raise UserError(f"{self.label} does not fit {type(data).__name__}: {reason}.")
        self.features = self.features or data.features or ""

    def real_split(self, data: Data) -> Split:
        """The samples to compare with: of the test set where there is one."""
        return "test" if "test" in data.splits else "train"

    def key(self, quantity: str) -> str:
        """The quantity's key in rows and tables."""
        return f"{quantity}/{self.features}_{size_name(self.samples)}"

    @property
    def directions(self) -> dict[str, bool | None]:
        """Of each key whether more is better."""
        return {self.key(quantity): up for quantity, up in self.quantities.items()}

    def update(self, features: Features, real: bool) -> None:
        """Take a batch of features."""
        (self.real if real else self.fake).append(features)

    def compute(self) -> dict[str, Scalar]:
        """The values under their keys."""
        fake = dim_zero_cat(cast(Any, self.fake))
        real = dim_zero_cat(cast(Any, self.real)) if self.uses_real else fake[:0]
        values = self.compare(real, fake)
        return {self.key(quantity): value for quantity, value in values.items()}

    @abstractmethod
    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        """The quantities of two sets of features."""

    def forget_fake(self) -> None:
        """Make room for other generated samples beside the same real ones."""
        real = list(self.real)  # a copy: reset() empties the list itself
        self.reset()
        self.real = real


def size_name(n: int) -> str:
    """10000 is 10k, 2500 is 2500."""
    return f"{n // 1000}k" if n % 1000 == 0 else str(n)
