"""Warns of parts that draw from Python's or numpy's global generators, which a resumed run does not set back.

torch's are seeded for each iteration. These take too long for that, and are seeded when a run begins: equal commands
give equal runs.
"""

import logging
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ganduel.rng import host_states

log = logging.getLogger("ganduel")


class HostDraws(Callback):
    """Compares the generators' states before and after the first block of iterations."""

    before: dict[str, Any] | None = None
    looked = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if not self.looked:
            self.before = host_states()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.before is None:
            return
        after = host_states()
        drawn = [name for name, state in self.before.items() if after[name] != state]
        self.before, self.looked = None, True
        if drawn and trainer.is_global_zero:
            log.warning(
                "an iteration draws from the global generator of %s: a resumed run draws other numbers than one that "
                "was not interrupted. Draw from torch, or from an iteration's `draws` (docs/extending.md).",
                " and ".join(drawn),
            )
