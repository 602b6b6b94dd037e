"""All metrics by name, and those applicable to given data."""

from collections.abc import Sequence

from ganduel.data.base import Data
from ganduel.errors import UserError, nearest
from ganduel.metric.accuracy import Accuracy
from ganduel.metric.base import SampleMetric
from ganduel.metric.fid_inception import FIDInception
from ganduel.metric.frechet import FrechetDistance
from ganduel.metric.image_modes import ImageModes
from ganduel.metric.intra_frechet import IntraFrechet
from ganduel.metric.kernel import KernelDistance
from ganduel.metric.memorisation import Memorisation
from ganduel.metric.modes import Modes
from ganduel.metric.neighbours import Neighbours
from ganduel.metric.parzen import Parzen
from ganduel.metric.stacked_modes import StackedModes

METRICS: dict[str, type[SampleMetric]] = {
    "modes": Modes,
    "stacked_modes": StackedModes,
    "image_modes": ImageModes,
    "frechet": FrechetDistance,
    "kernel": KernelDistance,
    "neighbours": Neighbours,
    "intra_frechet": IntraFrechet,
    "accuracy": Accuracy,
    "memorisation": Memorisation,
    "parzen": Parzen,
    "fid_inception": FIDInception,
}


def applicable(data: Data) -> list[SampleMetric]:
    """The automatic metrics that are applicable to the data.

    Raises:
        UserError: there is none.
    """
    reasons = {metric: metric.refusal(data) for metric in (kind() for kind in METRICS.values() if kind.automatic)}
    metrics = [metric for metric, reason in reasons.items() if reason is None]
    if not metrics:
        why = next(reason for metric, reason in reasons.items() if isinstance(metric, FrechetDistance))
        raise UserError(f"no metric is known to fit {type(data).__name__}: {why}.")
    return metrics


def named(names: Sequence[str], data: Data, samples: int | None = None) -> list[SampleMetric]:
    """The metrics of these names, or the automatic ones that are applicable to the data."""
    if unknown := [name for name in names if name not in METRICS]:
        raise UserError(f"there is no metric {unknown[0]}. {nearest(unknown[0], METRICS)}")
    metrics = [METRICS[name](samples) for name in names] or [type(metric)(samples) for metric in applicable(data)]
    for name, metric in zip(names, metrics, strict=False):
        if (reason := metric.refusal(data)) is not None:
            fit = ", ".join(other for other, kind in METRICS.items() if kind().refusal(data) is None)
            raise UserError(f"{name} does not fit {type(data).__name__}: {reason}. These fit: {fit or 'none'}.")
    return metrics
