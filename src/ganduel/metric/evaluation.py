"""A generator against real samples, by several metrics at once, each beside its own noise floor.

    value     of generated samples against real ones
    floor     of real samples against others, at the same size and by the same metric: what a perfect generator gets
    error     the standard error over repeated draws of both, s/√draws; None for a single draw
    protocol  all that the value depends on besides the generator, and a hash of it

Two values may be compared if their hashes are equal. The noise of draw r is a function of ("evaluate", r) alone: the
same for every run, and unknown to training. G runs on batches of one size, its images are rounded to bytes as a file
would hold them, and what the extractors see is kept, not the images. What the last evaluation made of its real samples
is kept for the next in the same process: the runs of a sweep look at them once. Not so on several ranks, which look
together: in a sweep only the first of them has a process that has seen other runs.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from ganduel import rng
from ganduel.data.base import Data, Split
from ganduel.errors import UserError
from ganduel.image_grid import generate_stored
from ganduel.metric.base import SampleMetric
from ganduel.metric.features import checksum, extractor
from ganduel.metric.registry import fitting
from ganduel.model.base import Generator

BATCH = 500
Batches = Iterator[Tensor]
Watch = Callable[[int], None]  # told how many samples have been seen since it was last told
LAST: dict[str, "Known"] = {}  # of the last evaluation in this process, by the identity of its real side


@dataclass(frozen=True)
class Value:
    """One quantity of a generator.

    Attributes:
        value: the mean over the draws.
        floor: the same quantity of real samples.
        error: standard error over the draws; None for one draw.
        higher_is_better: None, if neither is.
        hash: of the protocol.
    """

    value: float
    floor: float
    error: float | None
    higher_is_better: bool | None
    hash: str

    def __str__(self) -> str:
        spread = "" if self.error is None else f" ± {number(self.error)}"
        return f"{number(self.value)}{spread} (floor {number(self.floor)})"


@dataclass(frozen=True)
class Known:
    """What an evaluation makes of real samples.

    Attributes:
        metrics: for each draw, with their real samples.
        floors: of each quantity, the mean over the draws.
    """

    metrics: list[list[SampleMetric]]
    floors: dict[str, float]


class Evaluation:
    """Measures generators of the same data.

    Args:
        data: where real samples come from.
        metrics: what to measure; none: all that fit the data without being asked for.
        draws: how often each is repeated, on other noise and, where there are enough of them, other real samples.
        device: where the extractors run and the sets are compared.
        share: this rank's number and the number of ranks; each takes its part of all samples.
    """

    def __init__(
        self,
        data: Data,
        metrics: Sequence[SampleMetric] = (),
        draws: int = 1,
        device: torch.device | str = "cpu",
        share: tuple[int, int] = (0, 1),
    ):
        if draws < 1:
            raise UserError(f"draws={draws} must be at least 1.")
        chosen = [deepcopy(metric) for metric in metrics] or fitting(data)
        if not chosen:
            raise UserError(f"no metric is known to fit {type(data).__name__}.")
        for metric in chosen:
            metric.fit_to(data)
            metric.to(device)
        keys = [key for metric in chosen for key in metric.directions]
        if len(set(keys)) < len(keys):
            raise UserError(f"two metrics have the same key: {', '.join(sorted(keys))}.")
        self.data, self.metrics, self.draws, self.share = data, chosen, draws, share
        self.device = torch.device(device)
        for name in self.features:
            if not extractor(name, self.device).fits(data.shape):
                raise UserError(f"the features {name} do not fit samples of shape {tuple(data.shape)}.")
        self.known: Known | None = None

    @property
    def features(self) -> set[str]:
        """The names of all features that are needed."""
        return {metric.features for metric in self.metrics}

    @property
    def total(self) -> int:
        """How many samples the next call looks at, for a progress bar; the first one looks at the real ones too."""
        once = max(metric.samples for metric in self.metrics)
        looked = self.known is not None or self.last() is not None
        real = 0 if looked else 2 * sum(group[0].samples for group in self.groups(self.metrics))
        return self.draws * (once + real)

    def groups(self, metrics: Sequence[SampleMetric]) -> list[list[SampleMetric]]:
        """Metrics that compare with the same real samples."""
        found: dict[Any, list[SampleMetric]] = {}
        for metric in metrics:
            found.setdefault((metric.real_split(self.data), metric.samples), []).append(metric)
        return list(found.values())

    def check_real(self) -> None:
        """Raise what is wrong with the real samples, such as too few of them, without looking at any."""
        for _ in self.references():
            pass

    def references(self) -> Iterator[Tensor]:
        """All sets of real samples, one after another."""
        for group in self.groups(self.metrics):
            split, n = group[0].real_split(self.data), group[0].samples
            for draw in range(self.draws):
                yield self.data.reference(split, n, draw)
                yield self.data.reference(*self.other(split, n, draw))

    def prepare(self, watch: Watch = lambda n: None) -> Known:
        """Look at the real samples, once: what generators are compared with, and the floors."""
        if self.known is None:
            self.known = self.last()
        if self.known is None:
            metrics = [self.look_at_real(draw, watch) for draw in range(self.draws)]
            floors = [compute(each) for each in metrics]
            self.known = Known(metrics, {key: fmean([values[key] for values in floors]) for key in floors[0]})
            LAST.clear()
            if self.alone:
                LAST[self.identity] = self.known
        return self.known

    @property
    def alone(self) -> bool:
        """Whether this is the only rank."""
        return self.share == (0, 1)

    def last(self) -> Known | None:
        """What the last evaluation in this process has made of the same real samples."""
        return LAST.get(self.identity) if self.alone else None

    @cached_property
    def identity(self) -> str:
        """A hash of all that what is made of real samples depends on, the samples themselves included."""
        samples = [(str(real.dtype), tuple(real.shape), checksum_of(real)) for real in self.references()]
        return hashed([str(self.device), self.protocols, samples])

    def look_at_real(self, draw: int, watch: Watch) -> list[SampleMetric]:
        """The metrics with their real samples and, for the floor, real ones in the place of generated ones."""
        metrics = [deepcopy(metric) for metric in self.metrics]
        for group in self.groups(metrics):
            split, n = group[0].real_split(self.data), group[0].samples
            real, other = self.data.reference(split, n, draw), self.data.reference(*self.other(split, n, draw))
            self.gather([metric for metric in group if metric.uses_real], real.split(BATCH), True, watch)
            self.gather(group, other.split(BATCH), False, watch)
        return metrics

    def other(self, split: Split, n: int, draw: int) -> tuple[Split, int, int]:
        """A choice of n other real samples: training ones beside those of the test set, and the reverse."""
        if split == "test":
            return "train", n, draw
        return ("test", n, draw) if "test" in self.data.splits else (split, n, draw + self.draws)

    def __call__(self, generator: Generator, watch: Watch = lambda n: None) -> dict[str, Value]:
        """Measure the generator; its mode is left as it was."""
        known = self.prepare(watch)
        for draw, metrics in enumerate(known.metrics):
            for metric in metrics:
                metric.forget_fake()
            self.gather(metrics, self.generated(generator, draw), False, watch)
        found = [compute(metrics) for metrics in known.metrics]
        directions = {key: up for metric in self.metrics for key, up in metric.directions.items()}
        return {
            key: Value(
                fmean([values[key] for values in found]),
                known.floors[key],
                standard_error([values[key] for values in found]),
                directions[key],
                self.protocols[key]["hash"],
            )
            for key in directions
        }

    def generated(self, generator: Generator, draw: int) -> Batches:
        """Generated samples, as they would be stored; as many as the largest metric needs."""
        noise = generator.draw(max(metric.samples for metric in self.metrics), rng.generator("evaluate", draw))
        return (generate_stored(generator, z, self.data.shape, BATCH) for z in noise.split(BATCH))

    @torch.no_grad()
    def gather(self, metrics: Sequence[SampleMetric], batches: Any, real: bool, watch: Watch) -> None:
        """Feed this rank's rows of the batches to the metrics, each up to its number of samples."""
        rank, ranks = self.share
        seen = 0
        for batch in batches:
            rows = batch[rank::ranks].to(self.device)
            found = {name: extractor(name, self.device)(rows) for name in {metric.features for metric in metrics}}
            for metric in metrics:
                left = max(0, metric.samples - seen)
                metric.update(found[metric.features][: len(range(rank, min(left, len(batch)), ranks))], real)
            seen += len(batch)
            watch(len(batch))

    @cached_property
    def protocols(self) -> dict[str, dict[str, Any]]:
        """Of each key, all that its values depend on besides the generator, and a hash of it."""
        found = {}
        for group in self.groups(self.metrics):
            split = group[0].real_split(self.data)
            real = self.data.reference(split, group[0].samples)
            for metric in group:
                found.update(self.protocol(metric, split, real))
        return found

    def protocol(self, metric: SampleMetric, split: str, real: Tensor) -> dict[str, dict[str, Any]]:
        """That of each of the metric's keys."""
        stated = {
            "class": f"{type(metric).__module__}.{type(metric).__qualname__}",
            "version": metric.version,
            "knobs": metric.knobs,
            "features": metric.features,
            "features_version": extractor(metric.features, self.device).version,
            "samples": metric.samples,
            "draws": self.draws,
            "split": split,
            "real": checksum_of(real),
            "preprocessing": "bytes by rounding" if real.dtype == torch.uint8 else "none",
            "noise": "evaluate",
        }
        stated["hash"] = hashed(stated)
        return {key: {**stated, "higher_is_better": up} for key, up in metric.directions.items()}


def hashed(stated: Any) -> str:
    """Eight digits that stand for plain values."""
    return hashlib.blake2b(json.dumps(stated, sort_keys=True).encode(), digest_size=4).hexdigest()


def checksum_of(samples: Tensor) -> str:
    return checksum(samples.contiguous().numpy().tobytes())


def compute(metrics: Sequence[SampleMetric]) -> dict[str, float]:
    """All values, read back at once."""
    values = {key: value for metric in metrics for key, value in metric.compute().items()}
    return {key: float(value) for key, value in values.items()}


def standard_error(values: Sequence[float]) -> float | None:
    """s/√n of the mean; None for a single value."""
    if len(values) < 2:
        return None
    return torch.tensor(values, dtype=torch.float64).std().item() / math.sqrt(len(values))  # NaN where one is


def number(x: float) -> str:
    """Three digits or so, as a table has them."""
    return f"{x:.0f}" if math.isfinite(x) and x == int(x) and abs(x) < 1e6 else f"{x:.3g}"
