"""Base of all metrics of samples: they gather features of real and generated samples, and compare the two sets.

    metric = FrechetDistance()
    metric.fit_to(data)                        # choose the features; refuse data that have nothing to measure
    metric.update(features, real=True)         # once per batch; on each rank its rows
    metric.update(features, real=False)
    metric.compute()                           # {"fd/mnist_cnn_10k": tensor(19.8)}

Keys name the quantity, the features and the number of samples, NAME/FEATURES_SIZE: a value means nothing without
them. Where data have too few real samples for the default number, each set, the floor's included, is as large as they
allow. Features are gathered whole (10,000 × 128 floats are 5 MB), over all ranks, and compared in float64.
"""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from PIL import Image
from torch import Tensor

try:
    from torchmetrics import Metric
except ModuleNotFoundError:
    # torchmetrics imports torch-fidelity, which fails without torchvision, but only the first time.
    from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganduel.data.base import Data, Split
from ganduel.errors import UserError
from ganduel.metric.features import EXTRACTORS, FakeFeatures, Features, default_features, is_colour
from ganduel.model.base import Generator
from ganduel.types import Labels, Scalar

log = logging.getLogger("ganduel")


class SampleMetric(Metric, ABC):
    """Compares a set of generated samples with one of real samples.

    Args:
        samples: the number of each; None: what the metric's source uses, or 10,000, or as many as the data allow.
        features: the name of the features; None: the data's own, or those of colour images.

    Attributes:
        features: the name of the features; empty before `fit_to`, if the data choose.
        quantities: what `compare` returns, and for each whether more is better; None: neither.
        ranges: the lowest and the highest possible value of quantities that have bounds; intervals stay within.
        version: increased when the same samples would give another value than before.
        least_samples: the fewest that it can compare.
        uses_real: whether `compare` uses the real samples; metrics of known modes do not.
        uses_labels: whether `update` needs the class of each sample (ganduel.metric.labelled).
        automatic: whether it is used for all applicable data, or only if requested.
    """

    quantities: Mapping[str, bool | None]
    ranges: Mapping[str, tuple[float, float]] = MappingProxyType({})
    version: int = 1
    uses_real: bool = True
    uses_labels: bool = False
    automatic: bool = True
    full_state_update = False
    default_samples = 10_000
    least_samples = 2
    real: list[Tensor]
    fake: list[Tensor]

    def __init__(self, samples: int | None = None, features: str | None = None):
        super().__init__()
        self.requested_samples = samples
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
        """The metric's name on the command line; that of a user's class is not known."""
        package, _, name = type(self).__module__.rpartition(".")
        return f"metric.{name}" if package == "ganduel.metric" else type(self).__name__

    @property
    def knobs(self) -> dict[str, Any]:
        """What its value depends on besides features and number of samples, for the protocol."""
        return {}

    def inapplicable_reason(self, data: Data) -> str | None:
        """Why the metric is not applicable to data of this kind, in words; None if it is."""
        if self.features or default_features(data):
            return None
        group, _, name = self.label.rpartition(".")
        chosen = f"{group}={name} " if group else ""
        if data.features is None and is_colour(data):
            return (
                "colour images are compared in features that are not installed: pip install 'ganduel[features]'. "
                f"Or type {chosen}{self.label}.features=pixels with train.py"
            )
        features = "pixels" if data.is_image else "points"
        return (
            f"it names no features. Try {chosen}{self.label}.features={features} with train.py, or write features = "
            f'"{features}" into the data\'s class'
        )

    def refusal(self, data: Data) -> str | None:
        """Why the metric cannot be computed on these data, in words; None if it can."""
        if (reason := self.inapplicable_reason(data)) is not None:
            return reason
        most = self.most_samples(data)
        if most is None or most >= self.least_samples:
            return None
        remedy = data.remedy(self.least_samples)
        advice = "" if remedy is None else f". Try {remedy}"
        return f"its real samples make sets of {most}, and {self.least_samples} are needed{advice}"

    def fit_to(self, data: Data) -> None:
        """Set what the metric takes from the data."""
        if (reason := self.refusal(data)) is not None:
            raise UserError(f"{self.label} does not fit {type(data).__name__}: {reason}.")
        self.features = self.features or default_features(data) or ""
        most = self.most_samples(data)
        if most is not None and self.samples > most:
            if self.requested_samples is not None:
                raise UserError(
                    f"{self.label}.samples={self.samples}: {type(data).__name__} has real samples for sets of {most}, "
                    f"the floor's included. Try {self.label}.samples={most}."
                )
            self.samples = most

    @property
    def is_reduced(self) -> bool:
        """Whether the data have too few samples for the default number."""
        return self.requested_samples is None and self.samples < self.default_samples

    def real_split(self, data: Data) -> Split:
        """The split to compare with: the test set if there is one."""
        return "test" if "test" in data.splits else "train"

    def floor_split(self, data: Data) -> Split:
        """The split of the floor's samples: training for test ones, or the reverse; the same if there is no other."""
        split = self.real_split(data)
        other: Split = "train" if split == "test" else "test"
        return other if other in data.splits else split

    def most_samples(self, data: Data) -> int | None:
        """The size of the largest set of which data have one to compare with and one for the floor; None: any."""
        split, other = self.real_split(data), self.floor_split(data)
        counts = [count for count in (data.count(split), data.count(other)) if count is not None]
        return min(counts) // (2 if other == split else 1) if counts else None

    def key(self, quantity: str) -> str:
        """The quantity's key in rows and tables."""
        return f"{quantity}/{self.features}_{size_name(self.samples)}"

    @property
    def directions(self) -> dict[str, bool | None]:
        """For each key, whether more is better."""
        return {self.key(quantity): up for quantity, up in self.quantities.items()}

    @property
    def limits(self) -> dict[str, list[float | None]]:
        """For each key, the lowest and the highest possible value; None where there is no bound, as in JSON."""
        ranges = {quantity: self.ranges.get(quantity, (-math.inf, math.inf)) for quantity in self.quantities}
        return {self.key(name): [x if math.isfinite(x) else None for x in ends] for name, ends in ranges.items()}

    def update(self, features: Features, real: bool, labels: Labels | None = None) -> None:
        """Add a batch of features, and the classes of its samples where they have any."""
        (self.real if real else self.fake).append(features)

    def compute(self) -> dict[str, Scalar]:
        """The values by key."""
        fake = gathered(self.fake)
        real = gathered(self.real) if self.uses_real else fake[:0]
        values = self.compare(real, fake)
        return {self.key(quantity): value for quantity, value in values.items()}

    @abstractmethod
    def compare(self, real: Features, fake: FakeFeatures) -> dict[str, Scalar]:
        """The quantities of two sets of features."""

    def picture(self, data: Data, generator: Generator) -> Image.Image | None:
        """What is worth looking at beside the values; None: nothing."""
        return None

    def forget_fake(self) -> None:
        """Remove the generated samples and keep the real ones."""
        real = list(self.real)  # a copy: reset() empties the list itself
        self.reset()
        self.real = real


def gathered(batches: Any) -> Tensor:
    """All batches of a state as one tensor; over ranks torchmetrics has made them one already."""
    return dim_zero_cat(batches)


def log_reduced(metrics: Sequence[SampleMetric], name: str) -> None:
    """Say which metrics are computed on fewer samples than by default, as the data of that name have no more."""
    for n in sorted({metric.samples for metric in metrics if metric.is_reduced}):
        labels = ", ".join(metric.label for metric in metrics if metric.is_reduced and metric.samples == n)
        log.info("%s: %s samples each, as %s has no more real ones for them and their floors", labels, f"{n:,}", name)


def size_name(n: int) -> str:
    """10000 as 10k, 2500 as 2500."""
    return f"{n // 1000}k" if n % 1000 == 0 else str(n)
