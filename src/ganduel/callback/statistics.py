"""The duel in numbers: one row every so many iterations, each describing that one iteration, over all ranks.

    loss/d, loss/g, loss/penalty          nats; the penalty is not part of loss/d
    d/real, d/fake                        mean D(x), D(G(z)) in D's last update; d/real_std, d/fake_std their spread
    d/fake_g                              mean D(G(z)) in G's update
    d/accuracy_real, d/accuracy_fake      share of D's right answers, at D = 1/2
    logit/real, logit/fake                mean logits
    grad/norm_d, grad/norm_g              norm of each network's gradient, before clipping
    weight/norm_d, weight/norm_g          norm of all weights
    speed/images_per_second, seconds      real samples a second since the last row; seconds of training so far

Rows are not averaged over the iterations between them: nothing then hangs over a resume, and the others cost nothing.
Histograms of D(x), D(G(z)) and the logits of G(z) go with each row: counts in equal bins of tracking.files.RANGES.
"""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ganduel.callback.base import Clocked, due, gan_of, gather_columns, log, trackers
from ganduel.errors import UserError
from ganduel.gan import total_norm
from ganduel.tracking.files import range_of

BINS = 32  # of D(x) and D(G(z)); twice as many of the logits


class Statistics(Callback, Clocked):
    """Logs a row of statistics at iteration 1, every `every` iterations, and at the last."""

    def __init__(self, every: int):
        if every < 1:
            raise UserError(f"callback.statistics.every={every} must be at least 1.")
        self.every = every
        self.seconds = 0.0  # of training before this process took over

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = self.row_time = time.monotonic()
        self.row_images = gan_of(trainer).images_seen

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not due(trainer, self.every):
            return
        logits = torch.stack([outputs["logit/real"], outputs["logit/fake"], outputs["logit/fake_g"]])
        losses = torch.stack([outputs["loss/d"], outputs["loss/g"], outputs["loss/penalty"]])
        logits = gather_columns(trainer, logits)
        losses = trainer.strategy.reduce(losses, reduce_op="mean")
        if trainer.is_global_zero:
            gan = gan_of(trainer)
            norms = torch.stack(
                [
                    outputs["grad/norm_d"],
                    outputs["grad/norm_g"],
                    total_norm([p.detach() for p in gan.discriminator.parameters()]),
                    total_norm([p.detach() for p in gan.generator.parameters()]),
                ]
            )
            log(trainer, {**statistics(logits, losses, norms), **self.speed(trainer)})
            log_histograms(trainer, logits)

    def speed(self, trainer: Trainer) -> dict[str, float]:
        now, images = time.monotonic(), gan_of(trainer).images_seen
        rate = (images - self.row_images) / (now - self.row_time)
        self.row_time, self.row_images = now, images
        return {"speed/images_per_second": rate, "seconds": self.total(now)}

    def leave_out(self, seconds: float) -> None:
        self.started += seconds
        self.row_time += seconds

    def total(self, now: float) -> float:
        """Seconds of training so far, those before a resume included."""
        return self.seconds + now - self.started

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.total(time.monotonic())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]


def statistics(logits: Tensor, losses: Tensor, norms: Tensor) -> dict[str, float]:
    """The row's values, read back from the device at once. Logits are (3, batch): real, fake, fake in G's update."""
    d = logits.sigmoid()
    values = {
        "loss/d": losses[0], "loss/g": losses[1], "loss/penalty": losses[2],
        "d/real": d[0].mean(), "d/fake": d[1].mean(), "d/fake_g": d[2].mean(),
        "d/real_std": d[0].std(correction=0), "d/fake_std": d[1].std(correction=0),
        "d/accuracy_real": (logits[0] > 0).float().mean(), "d/accuracy_fake": (logits[1] < 0).float().mean(),
        "logit/real": logits[0].mean(), "logit/fake": logits[1].mean(),
        "grad/norm_d": norms[0], "grad/norm_g": norms[1], "weight/norm_d": norms[2], "weight/norm_g": norms[3],
    }  # fmt: skip
    return dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))


def log_histograms(trainer: Trainer, logits: Tensor) -> None:
    """Send the histograms of D(x), D(G(z)) and of G(z)'s logits to the trackers that take them."""
    b = logits[:2].float().cpu()
    values = {"d/real": b[0].sigmoid(), "d/fake": b[1].sigmoid(), "logit/fake": b[1]}
    counts = {key: histogram(key, x).int().tolist() for key, x in values.items()}
    for tracker in trackers(trainer):
        tracker.log_histograms(counts, step=trainer.global_step)


def histogram(key: str, x: Tensor) -> Tensor:
    """Counts over the key's range; what is beyond is in the outermost bins."""
    low, high = range_of(key)
    return torch.histc(x.clamp(low, high), BINS if key.startswith("d/") else 2 * BINS, low, high)
