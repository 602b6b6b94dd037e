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
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ganduel.callback.base import Clocked, Outputs, due, gan_of, gather_columns, log, networks, next_due, read, trackers
from ganduel.errors import UserError
from ganduel.gan import GAN, each_norm
from ganduel.loop import Seldom
from ganduel.tracking.files import range_of

LOGITS = ("logit/real", "logit/fake", "logit/fake_g")
LOSSES = ("loss/d", "loss/g", "loss/penalty")
BINS = 32  # of D(x) and D(G(z)); twice as many of the logits


class Statistics(Callback, Clocked, Seldom):
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
        if trainer.world_size > 1:
            outputs = of_all_ranks(trainer, outputs)
        if trainer.is_global_zero:
            row, counts = read(rows, outputs, trainer)
            log(trainer, {**row, **self.speed(trainer)})
            for tracker in trackers(trainer):
                tracker.log_histograms(counts, step=trainer.global_step)

    def next_due(self, n: int) -> int:
        return next_due(n, self.every)

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


def of_all_ranks(trainer: Trainer, outputs: Outputs) -> Outputs:
    """The outputs with the logits of all ranks, and the losses' means over them."""
    logits = gather_columns(trainer, torch.stack([outputs[key] for key in LOGITS]))
    losses = cast(Tensor, trainer.strategy.reduce(torch.stack([outputs[key] for key in LOSSES]), reduce_op="mean"))
    pairs = ((LOGITS, logits), (LOSSES, losses))
    return outputs | {key: value for keys, values in pairs for key, value in zip(keys, values, strict=True)}


def rows(outputs: Outputs, gans: list[GAN]) -> list[tuple[dict[str, float], dict[str, list[int]]]]:
    """Each duel's row and its histograms. All that they take is read from the device at once."""
    generator, discriminator = networks(gans)
    weights = [each_norm([p.detach() for p in net.parameters()], len(gans)) for net in (discriminator, generator)]
    numbers = torch.stack([*(outputs[key] for key in (*LOSSES, "grad/norm_d", "grad/norm_g")), *weights], 1)
    table = torch.cat([numbers, *(outputs[key] for key in LOGITS)], 1).cpu()
    losses, norms, logits = table.tensor_split([3, 7], 1)
    logits = logits.unflatten(1, (3, -1))
    values = statistics(logits, losses, norms)
    lines = torch.stack(list(values.values()), 1).tolist()
    return [
        (dict(zip(values, line, strict=True)), counts) for line, counts in zip(lines, histograms(logits), strict=True)
    ]


def statistics(logits: Tensor, losses: Tensor, norms: Tensor) -> dict[str, Tensor]:
    """The row's values. Logits are (…, 3, batch): real, fake, fake in G's update; losses (…, 3) and norms (…, 4)."""
    on_real, on_fake, _ = logits.unbind(-2)
    real, fake, fake_g = logits.sigmoid().unbind(-2)
    gradient_d, gradient_g, weight_d, weight_g = norms.unbind(-1)
    return {
        **dict(zip(LOSSES, losses.unbind(-1), strict=True)),
        "d/real": real.mean(-1), "d/fake": fake.mean(-1), "d/fake_g": fake_g.mean(-1),
        "d/real_std": real.std(-1, correction=0), "d/fake_std": fake.std(-1, correction=0),
        "d/accuracy_real": (on_real > 0).float().mean(-1), "d/accuracy_fake": (on_fake < 0).float().mean(-1),
        "logit/real": on_real.mean(-1), "logit/fake": on_fake.mean(-1),
        "grad/norm_d": gradient_d, "grad/norm_g": gradient_g, "weight/norm_d": weight_d, "weight/norm_g": weight_g,
    }  # fmt: skip


def histograms(logits: Tensor) -> list[dict[str, list[int]]]:
    """Each duel's histograms of D(x), D(G(z)) and the logits of G(z); logits are (duel, 3, batch)."""
    on_real, on_fake, _ = logits.unbind(1)
    values = {"d/real": on_real.sigmoid(), "d/fake": on_fake.sigmoid(), "logit/fake": on_fake}
    counts = [histogram(key, x).tolist() for key, x in values.items()]
    return [dict(zip(values, own, strict=True)) for own in zip(*counts, strict=True)]


def histogram(key: str, x: Tensor) -> Tensor:
    """Counts over the key's range, of each row of (rows, n); the outermost bins have what is beyond, the first NaN."""
    low, high = range_of(key)
    bins = BINS if key.startswith("d/") else 2 * BINS
    places = ((x.clamp(low, high).nan_to_num(low) - low) * (bins / (high - low))).long().clamp(max=bins - 1)
    return torch.zeros(len(x), bins, dtype=torch.long).scatter_add_(1, places, torch.ones_like(places))
