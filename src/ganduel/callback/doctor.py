"""What `ganduel doctor` finds in a run that goes on, one line each, once.

    D has won, G's gradient is gone, a learning rate at zero, a late collapse     in the rows on record so far
    eps taken for momentum                                                        in the networks, at the start

It reads what other callbacks have logged, seldom, and computes nothing itself. Of logits that are probabilities, of
numbers that are not finite and of the data's range the run says more, when it meets them.
"""

import logging
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ganduel.block import Scheduled
from ganduel.callback.base import gan_of, geometric, next_geometric
from ganduel.compare.reading import Run, read
from ganduel.doctor.base import Finding
from ganduel.doctor.metrics import late_collapse
from ganduel.doctor.networks import large_eps
from ganduel.doctor.training import d_has_won, g_gradient_is_gone, learning_rate_is_zero
from ganduel.errors import UserError

LOOKS = (d_has_won, g_gradient_is_gone, learning_rate_is_zero, late_collapse)

log = logging.getLogger("ganduel")


class Doctor(Callback, Scheduled):
    """Looks at the run's record at geometrically growing iterations, and at the end.

    Args:
        first: the first iteration at which it looks.
        growth: it looks again after this many times the iterations.
    """

    def __init__(self, first: int = 1000, growth: float = 1.5):
        if first < 1 or not growth > 1:
            raise UserError("callback.doctor needs first ≥ 1 and growth > 1.")
        self.first, self.growth = first, growth
        self.known: set[str] = set()  # the names of findings that have been said

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gan = gan_of(trainer)
        self.say(trainer, [*large_eps(gan.generator, "G"), *large_eps(gan.discriminator, "D")])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if geometric(trainer.global_step, self.first, self.growth):
            self.look(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.look(trainer)

    def next_due(self, n: int) -> int:
        return next_geometric(n, self.first, self.growth)

    def look(self, trainer: Trainer) -> None:
        """At the rows of this run, where it writes any."""
        run = read(Path(trainer.default_root_dir)) if trainer.is_global_zero else None
        if isinstance(run, Run):
            self.say(trainer, [finding for look in LOOKS for finding in look(run)])

    def say(self, trainer: Trainer, findings: list[Finding]) -> None:
        """Warn of those that are new, on the first rank."""
        for finding in findings:
            if finding.name not in self.known and trainer.is_global_zero:
                log.warning("%s: %s. %s", finding.name, finding.evidence, finding.advice)
            self.known.add(finding.name)
