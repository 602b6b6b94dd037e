"""The terminal's view of a run: a bar where there is a terminal, a line now and then where there is none."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ganduel.callback.base import Clocked, gan_of, images_seen

SHOWN = ("loss/d", "loss/g", "d/real", "d/fake")


class ProgressBar(Callback, Clocked):
    """Shows how far the run is, with the last row of its statistics.

    Args:
        record: anything with the last row as its mapping `last`.
        seconds: between two updates of the bar, and ten times that between two lines in a log.
    """

    def __init__(self, record: Any, seconds: float = 1.0):
        self.record = record
        self.seconds = seconds
        self.console = Console(stderr=True, soft_wrap=True, highlight=False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on = trainer.is_global_zero
        if not self.on:
            return
        self.shown = self.started = time.monotonic()
        self.images = self.images_seen(trainer)
        self.bar = Progress(
            TextColumn("{task.fields[unit]}"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.period = self.seconds * (1 if self.console.is_terminal else 10)
        self.task = self.bar.add_task("", total=trainer.max_steps, completed=trainer.global_step, unit="iteration")
        self.bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self.on:
            return
        if not self.is_due() and trainer.global_step != trainer.max_steps:
            return
        self.shown = now = time.monotonic()
        rate = (self.images_seen(trainer) - self.images) / (now - self.started)
        values = "  ".join(f"{key} {self.record.last[key]:.3f}" for key in SHOWN if key in self.record.last)
        text = f"{rate:,.0f} images/s  {values}"
        if self.console.is_terminal:
            self.bar.update(self.task, completed=trainer.global_step, description=text)
        else:
            self.console.print(f"iteration {trainer.global_step:,}/{trainer.max_steps:,}  {text}")

    def is_due(self) -> bool:
        """Whether it is time for an update."""
        return getattr(self, "on", False) and time.monotonic() - self.shown >= self.period

    def images_seen(self, trainer: Trainer) -> int:
        return images_seen(gan_of(trainer))

    def leave_out(self, seconds: float) -> None:
        if getattr(self, "on", False):
            self.started += seconds

    @contextmanager
    def second(self, unit: str, total: int) -> Iterator[Callable[[int], None]]:
        """A second bar for something that iterations wait for; what is yielded is told of each advance."""
        if not getattr(self, "on", False) or not self.console.is_terminal:
            yield lambda n: None
            return
        task = self.bar.add_task("", total=total, unit=unit)
        try:
            yield lambda n: self.bar.advance(task, n)
        finally:
            self.bar.remove_task(task)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if getattr(self, "on", False):
            self.bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "fit")
