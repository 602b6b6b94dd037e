"""Metrics of G's samples, each beside its noise floor, every so many iterations and at the end.

    fd/mnist_cnn_10k, fd/mnist_cnn_10k/floor, …    in metrics.jsonl, W&B and the summary
    protocols.jsonl                                what each number depends on, with a hash of it
    samples/memorisation.png                       of metrics that have something to show, a picture
    checkpoints/best.ckpt                          the best by one of them

Samples are of the average of G's weights where there is one. Their noise is the evaluation's own, so that training is
the same to the bit with it or without. All ranks take part.
"""

import logging
import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from ganduel.block import NEVER, Scheduled
from ganduel.callback.base import Clocked, gan_of, log, log_picture, next_due, others, trackers
from ganduel.callback.progress import ProgressBar
from ganduel.callback.stop import StopOnSignal
from ganduel.checkpoint import BEST, LAST
from ganduel.errors import UserError, nearest
from ganduel.metric.base import SampleMetric
from ganduel.metric.evaluation import Evaluation, ProgressFn, Value
from ganduel.model.base import Generator

logger = logging.getLogger("ganduel")


class Evaluate(Callback, Scheduled):
    """Evaluates the generator.

    Args:
        metrics: what to measure; none: all that fit the data without being asked for.
        every_n_iterations: between two evaluations, besides the one at the end; None: that one alone.
        draws: how often each is repeated; more than one give a standard error.
        best: the key, or its first part, by which best.ckpt is chosen; None: the first that is measured.
    """

    def __init__(
        self,
        metrics: Mapping[str, SampleMetric] | None = None,
        every_n_iterations: int | None = None,
        draws: int = 1,
        best: str | None = None,
    ):
        every = every_n_iterations
        if every is not None and every < 1:
            raise UserError(
                f"callback.evaluate.every_n_iterations={every} must be at least 1, or null for the end alone."
            )
        if draws < 1:
            raise UserError(f"callback.evaluate.draws={draws} must be at least 1.")
        self.metrics, self.draws, self.best = list((metrics or {}).values()), draws, best
        self.every = every_n_iterations
        self.record: float | None = None  # the best value so far
        self.evaluated: int | None = None  # the iteration of the last evaluation

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gan = gan_of(trainer)
        ranks = (trainer.global_rank, trainer.world_size)
        try:
            self.evaluation = Evaluation(gan.batches.data, self.metrics, self.draws, gan.device, ranks)
            self.evaluation.check_real()
        except UserError as error:
            if self.metrics:
                raise
            logger.info("samples are not evaluated: %s", error)
            self.on = False
            return
        self.on = True
        directions = {
            k: up for metric in self.evaluation.metrics for k, up in metric.directions.items() if up is not None
        }
        keys = [key for key in directions if self.best is None or self.best in (key, key.partition("/")[0])]
        if self.best is not None and not keys:
            raise UserError(f"callback.evaluate.best={self.best} is not measured. {nearest(self.best, directions)}")
        self.key = keys[0] if keys else None
        self.up = bool(keys and directions[keys[0]])

    @property
    def keys(self) -> list[str]:
        """The keys of what is measured."""
        return [key for metric in self.evaluation.metrics for key in metric.directions] if self.on else []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        n = trainer.global_step
        if self.on and (n == trainer.max_steps or (self.every is not None and n % self.every == 0)):
            self.evaluate(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The evaluation at the end, in a run that is resumed there because a signal had cut it off."""
        n = trainer.global_step
        if self.on and n >= trainer.max_steps and self.evaluated != n and not trainer.should_stop:
            self.evaluate(trainer)
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / LAST)

    def next_due(self, n: int) -> int:
        return next_due(n, self.every) if self.on and self.every is not None else NEVER

    def evaluate(self, trainer: Trainer) -> None:
        """Measure, log, and keep the checkpoint if it is the best."""
        bars = [bar.second("evaluating", self.evaluation.total) for bar in others(trainer, ProgressBar)]
        started = time.monotonic()
        generator = cast(Generator, gan_of(trainer).ema_generator)
        try:
            with bars[0] if bars else nullcontext(lambda n: None) as advance:
                values = self.evaluation(generator, watched(advance, trainer))
        except Interrupted:
            logger.info("the evaluation is left out; ganduel evaluate makes it later")
            return
        if trainer.is_global_zero:
            self.draw(trainer, generator)
        self.evaluated = trainer.global_step
        for clocked in others(trainer, Clocked):
            clocked.leave_out(time.monotonic() - started)
        log(trainer, row(values))
        for tracker in trackers(trainer):
            tracker.log_protocols(self.evaluation.protocols, step=trainer.global_step)
        if trainer.is_global_zero:
            lines = "".join(f"\n  {key:32} {value}" for key, value in values.items())
            logger.info("iteration %s, evaluated:%s", f"{trainer.global_step:,}", lines)
        if self.key is not None and self.better(values[self.key].value):
            self.record = values[self.key].value
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / BEST)

    def draw(self, trainer: Trainer, generator: Generator) -> None:
        """Save and log the metrics' pictures, in the file of the last time."""
        for metric in self.evaluation.metrics:
            picture = metric.picture(self.evaluation.data, generator)
            if picture is not None:
                name = metric.label.rpartition(".")[2]
                path = Path(trainer.default_root_dir) / "samples" / f"{name}.png"
                path.parent.mkdir(exist_ok=True)
                picture.save(path)
                log_picture(trainer, f"samples/{name}", path, metric.label)

    def better(self, value: float) -> bool:
        """Whether it beats the best so far; NaN never does."""
        if math.isnan(value):
            return False
        return self.record is None or (value > self.record if self.up else value < self.record)

    def state_dict(self) -> dict[str, Any]:
        return {"record": self.record, "evaluated": self.evaluated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.record, self.evaluated = state_dict["record"], state_dict.get("evaluated")


class Interrupted(Exception):
    """A signal came that ends the run."""


def watched(advance: ProgressFn, trainer: Trainer) -> ProgressFn:
    """Tells the bar of each advance, and gives up on a signal; of several ranks none may, as the others would wait."""

    def watch(n: int) -> None:
        advance(n)
        for stop in others(trainer, StopOnSignal) if trainer.world_size == 1 else []:
            if stop.noted:
                stop.on_train_batch_end(trainer, trainer.lightning_module, None, None, 0)
                raise Interrupted

    return watch


def row(values: Mapping[str, Value]) -> dict[str, float]:
    """The columns: each quantity, its floor and, where there is one, its standard error."""
    columns = {}
    for key, value in values.items():
        columns |= {key: value.value, f"{key}/floor": value.floor}
        if value.error is not None:
            columns[f"{key}/error"] = value.error
    return columns
