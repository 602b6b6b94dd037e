"""Evaluation of a generator by several metrics at once, each next to its own noise floor.

    value     of generated samples against real ones
    floor     of real samples against others, at the same size and by the same metric: what a perfect generator gets;
              the others are of another split or, if there is none, those of the same that are not compared with
    error     the standard error over repeated draws of both, s/√draws; None for a single draw
    protocol  all that the value depends on besides the generator, and a hash of it

Two values may be compared if their hashes are equal. The noise of draw r is a function of ("evaluate", r) alone: the
same for every run, and unknown to training; sample i has class i mod classes, if G takes labels. G runs on batches of
one size, its images are rounded to bytes as a file would hold them, and features are kept, not images. The reference
of the last evaluation, features of real samples and floors, is cached for the next in the same process: the runs of a
sweep compute it once. Several ranks do not cache it: they compute it together, and in a sweep only the first of them is
a process that has evaluated other runs.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import torch

from ganduel import rng
from ganduel.data.base import Data, Split
from ganduel.data.labelled import LabelledSamples
from ganduel.errors import UserError
from ganduel.image_grid import class_labels, generate_stored
from ganduel.metric.base import SampleMetric, log_reduced
from ganduel.metric.features import checksum_of, extractor
from ganduel.metric.registry import applicable
from ganduel.model.base import Generator

BATCH = 500
ProgressFn = Callable[[int], None]  # is called with the number of samples since its last call
_REFERENCE_CACHE: dict[str, "Reference"] = {}  # that of the last evaluation in this process, by its reference_key


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
class Reference:
    """What generators are compared with.

    Attributes:
        metrics: of each draw, with the features of their real samples.
        floors: the floor of each quantity, averaged over the draws.
    """

    metrics: list[list[SampleMetric]]
    floors: dict[str, float]


class Evaluation:
    """Measures generators of the same data.

    Args:
        data: the source of real samples.
        metrics: what to measure; none: all automatic metrics that are applicable to the data.
        draws: repetitions of each, on other noise and, where there are enough of them, other real samples.
        device: where features are extracted and compared.
        ranks: this rank and the number of ranks; each takes its rows of all samples.
    """

    def __init__(
        self,
        data: Data,
        metrics: Sequence[SampleMetric] = (),
        draws: int = 1,
        device: torch.device | str = "cpu",
        ranks: tuple[int, int] = (0, 1),
    ):
        if draws < 1:
            raise UserError(f"draws={draws} must be at least 1.")
        metrics = [deepcopy(metric) for metric in metrics] or applicable(data)
        for metric in metrics:
            metric.to(device)
            metric.fit_to(data)
        if ranks[0] == 0:
            log_reduced(metrics, type(data).__name__)
        keys = [key for metric in metrics for key in metric.directions]
        if len(set(keys)) < len(keys):
            raise UserError(f"two metrics have the same key: {', '.join(sorted(keys))}.")
        self.data, self.metrics, self.draws, self.ranks = data, metrics, draws, ranks
        self.device = torch.device(device)
        for name in self.features:
            if not extractor(name, self.device).fits(data.shape):
                raise UserError(f"the features {name} do not fit samples of shape {tuple(data.shape)}.")
        self.reference: Reference | None = None

    @property
    def features(self) -> set[str]:
        """The names of all features in use."""
        return {metric.features for metric in self.metrics}

    @property
    def total(self) -> int:
        """The number of samples of the next call, for a progress bar; that of the first includes the real ones."""
        fake = max(metric.samples for metric in self.metrics)
        cached = self.reference is not None or self.cached_reference() is not None
        real = 0 if cached else 2 * sum(group[0].samples for group in self.groups(self.metrics))
        return self.draws * (fake + real)

    def groups(self, metrics: Sequence[SampleMetric]) -> list[list[SampleMetric]]:
        """Metrics that compare with the same real samples."""
        groups: dict[Any, list[SampleMetric]] = {}
        for metric in metrics:
            groups.setdefault((metric.real_split(self.data), metric.samples), []).append(metric)
        return list(groups.values())

    def check_real(self) -> None:
        """Raise an error if the real samples do not suffice, without extracting any features."""
        for _ in self.real_sets():
            pass

    def real_sets(self) -> Iterator[LabelledSamples]:
        """All sets of real samples, one after another."""
        for group in self.groups(self.metrics):
            for draw in range(self.draws):
                yield from self.real_and_other(group[0], draw)

    def real_and_other(self, metric: SampleMetric, draw: int) -> tuple[LabelledSamples, LabelledSamples]:
        """Real samples to compare with, and as many others for the floor."""
        split, other, n = metric.real_split(self.data), metric.floor_split(self.data), metric.samples
        if other != split:
            return self.real(split, n, draw), self.real(other, n, draw)
        both = self.real(split, 2 * n, draw)
        return both.rows(slice(n)), both.rows(slice(n, None))

    def real(self, split: Split, n: int, draw: int) -> LabelledSamples:
        """Real samples of a split and their classes."""
        return LabelledSamples(self.data.reference(split, n, draw), self.data.reference_labels(split, n, draw))

    def prepare(self, progress: ProgressFn = lambda n: None) -> Reference:
        """Compute the reference, features of real samples and floors, once."""
        if self.reference is None:
            self.reference = self.cached_reference()
        if self.reference is None:
            metrics = [self.accumulate_real(draw, progress) for draw in range(self.draws)]
            floors = [compute(draw_metrics) for draw_metrics in metrics]
            means = {key: fmean([values[key] for values in floors]) for key in floors[0]}
            self.reference = Reference(metrics, means)
            _REFERENCE_CACHE.clear()
            if self.single_rank:
                _REFERENCE_CACHE[self.reference_key] = self.reference
        return self.reference

    @property
    def single_rank(self) -> bool:
        """Whether this is the only rank."""
        return self.ranks == (0, 1)

    def cached_reference(self) -> Reference | None:
        """The reference of the last evaluation in this process, if it is of the same real samples."""
        return _REFERENCE_CACHE.get(self.reference_key) if self.single_rank else None

    @cached_property
    def reference_key(self) -> str:
        """A hash of all that the reference depends on, the real samples included."""
        sets = [
            (str(real.samples.dtype), tuple(real.samples.shape), checksum_of(real.samples), checksum_of(real.labels))
            for real in self.real_sets()
        ]
        return hashed([str(self.device), self.protocols, sets])

    def accumulate_real(self, draw: int, progress: ProgressFn) -> list[SampleMetric]:
        """The metrics with their real samples and, for the floor, other real ones instead of generated ones."""
        metrics = [deepcopy(metric) for metric in self.metrics]
        for group in self.groups(metrics):
            real, other = self.real_and_other(group[0], draw)
            self.gather([metric for metric in group if metric.uses_real], real.split(BATCH), True, progress)
            self.gather(group, other.split(BATCH), False, progress)
        return metrics

    def __call__(self, generator: Generator, progress: ProgressFn = lambda n: None) -> dict[str, Value]:
        """Measure the generator; its mode is left as it was."""
        reference = self.prepare(progress)
        for draw, metrics in enumerate(reference.metrics):
            for metric in metrics:
                metric.forget_fake()
            self.gather(metrics, self.generated(generator, draw), False, progress)
        results = [compute(metrics) for metrics in reference.metrics]
        directions = {key: up for metric in self.metrics for key, up in metric.directions.items()}
        return {
            key: Value(
                fmean([values[key] for values in results]),
                reference.floors[key],
                standard_error([values[key] for values in results]),
                directions[key],
                self.protocols[key]["hash"],
            )
            for key in directions
        }

    def generated(self, generator: Generator, draw: int) -> Iterator[LabelledSamples]:
        """Generated samples, as they would be stored, with the classes asked for; enough for the largest metric."""
        noise = generator.draw(max(metric.samples for metric in self.metrics), rng.generator("evaluate", draw))
        for i, z in enumerate(noise.split(BATCH)):
            labels = class_labels(generator, len(z), start=i * BATCH)
            samples = generate_stored(generator, z, self.data.shape, self.data.is_image, BATCH, labels=labels)
            yield LabelledSamples(samples, labels)

    @torch.no_grad()
    def gather(
        self, metrics: Sequence[SampleMetric], batches: Iterable[LabelledSamples], real: bool, progress: ProgressFn
    ) -> None:
        """Feed this rank's rows of the batches to the metrics, each up to its number of samples."""
        rank, world_size = self.ranks
        seen = 0
        for batch in batches:
            own = batch.rows(slice(rank, None, world_size)).to(self.device)
            features = {name: extractor(name, self.device)(own.samples) for name in {m.features for m in metrics}}
            for metric in metrics:
                n = len(range(rank, min(max(0, metric.samples - seen), len(batch)), world_size))
                labels = {"labels": own.rows(slice(n)).labels} if metric.uses_labels else {}
                metric.update(features[metric.features][:n], real, **labels)
            seen += len(batch)
            progress(len(batch))

    @cached_property
    def protocols(self) -> dict[str, dict[str, Any]]:
        """For each key, all that its values depend on besides the generator, and a hash of it."""
        protocols = {}
        for group in self.groups(self.metrics):
            real, _ = self.real_and_other(group[0], 0)
            for metric in group:
                protocols.update(self.protocol(metric, real))
        return protocols

    def protocol(self, metric: SampleMetric, real: LabelledSamples) -> dict[str, dict[str, Any]]:
        """The protocol of each of the metric's keys."""
        protocol = {
            "class": f"{type(metric).__module__}.{type(metric).__qualname__}",
            "version": metric.version,
            "knobs": metric.knobs,
            "features": metric.features,
            "features_version": extractor(metric.features, self.device).version,
            "samples": metric.samples,
            "draws": self.draws,
            "split": metric.real_split(self.data),
            "real": checksum_of(real.samples),
            "preprocessing": "bytes by rounding" if real.samples.dtype == torch.uint8 else "none",
            "noise": "evaluate",
        }
        if metric.uses_labels:
            protocol["labels"] = checksum_of(real.labels)
        protocol["hash"] = hashed(protocol)
        limits = metric.limits
        return {
            key: {**protocol, "higher_is_better": up, "range": limits[key]} for key, up in metric.directions.items()
        }


def hashed(values: Any) -> str:
    """A hash of plain values, eight hexadecimal digits."""
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=4).hexdigest()


def compute(metrics: Sequence[SampleMetric]) -> dict[str, float]:
    """All values as floats, once everything is computed."""
    values = {key: value for metric in metrics for key, value in metric.compute().items()}
    return {key: float(value) for key, value in values.items()}


def standard_error(values: Sequence[float]) -> float | None:
    """s/√n of the mean; None for a single value."""
    if len(values) < 2:
        return None
    return torch.tensor(values, dtype=torch.float64).std().item() / math.sqrt(len(values))  # NaN where one is


def number(x: float) -> str:
    """The number for a table: about three digits."""
    return f"{x:.0f}" if math.isfinite(x) and x == int(x) and abs(x) < 1e6 else f"{x:.3g}"
