"""What a sweeper optimises is looked for at the start: a mistyped name should not cost a whole run."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ganduel.block import NEVER, Scheduled, callbacks_of, is_builtin
from ganduel.callback.base import others
from ganduel.callback.evaluate import Evaluate
from ganduel.errors import UserError, nearest
from ganduel.tracking.files import keys_named


class Objective(Callback, Scheduled):
    """Refuses an objective that is neither in the run's first row nor a metric of its evaluation.

    With callbacks of a user among the run's, which may log anything at any time, nothing is refused.

    Args:
        name: the metric's, or its first part, such as fd.
        record: anything with the last value of each metric as its mapping `last`.
    """

    def __init__(self, name: str, record: Any):
        self.name, self.record, self.found = name, record, False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.found or not trainer.is_global_zero or not all(map(is_builtin, callbacks_of(trainer))):
            return
        measured = [key for callback in others(trainer, Evaluate) for key in callback.keys]
        objective_key(self.name, {**self.record.last, **dict.fromkeys(measured)})
        self.found = True

    def next_due(self, n: int) -> int:
        return 1 if n < 1 else NEVER


def objective_key(name: str, metrics: Collection[str]) -> str:
    """The key of the metric with that name, or the first of those with that first part."""
    if not (keys := keys_named(name, metrics)):
        raise UserError(f"objective={name} is not a metric of the run. {nearest(name, metrics)}")
    return keys[0]


def objective_of(name: str, summary: Mapping[str, Any]) -> float:
    """The last value of a run's metric, for a sweeper; of fd/mnist_cnn_10k by the name fd too."""
    value = summary["metrics"][objective_key(name, summary["metrics"])]
    return math.nan if value is None else float(value)
