"""Training in numbers: one row every n iterations, each describing that one iteration, over all ranks.

    loss/d, loss/g                        the losses without penalties; cross-entropy in nats
    loss/penalty_d, loss/penalty_g        the penalties of each network; a network without any has no column
    logit/…, d/…                          what the loss makes of D's logits in D's last update (Loss.statistics)
    logit/fake_g, d/fake_g                mean logit, and mean D(G(z)), in G's update
    grad/norm_d, grad/norm_g              norm of each network's gradient, before clipping
    weight/norm_d, weight/norm_g          norm of all weights
    augment/…                             what an adaptive augmentation has come to, such as augment/p
    lr/d, lr/g                            learning rates after the iteration; of several parameter groups the first's
    speed/images_per_second, seconds      real samples per second since the last row; seconds of training so far

Rows are not averaged over the iterations between them: nothing then hangs over a resume, and the others cost nothing.
Histograms of D(x), D(G(z)) where logits are log-odds, and of the logits, go with each row: counts in equal
bins of tracking.files.RANGES. If logits that are log-odds are within [0, 1] in all of the first rows, a line
asks whether D ends in a sigmoid.
"""

import logging
import time
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from ganduel.batch import Outputs
from ganduel.block import Scheduled
from ganduel.callback.base import Clocked, gan_of, gather_columns, images_seen, is_due, log, next_due, trackers
from ganduel.errors import UserError
from ganduel.gan import GAN
from ganduel.loss.base import Loss
from ganduel.tracking.files import range_of

LOGITS = ("logit/real", "logit/fake", "logit/fake_g")
BINS = 32  # of D(x) and D(G(z)); twice as many of the logits
FIRST_ROWS, FIRST_ITERATIONS = 5, 100  # at least, before logits within [0, 1] are no chance

logger = logging.getLogger("ganduel")


class Statistics(Callback, Clocked, Scheduled):
    """Logs a row of statistics at iteration 1, every `every_n_iterations`, and at the last."""

    def __init__(self, every_n_iterations: int):
        if every_n_iterations < 1:
            raise UserError(f"callback.statistics.every_n_iterations={every_n_iterations} must be at least 1.")
        self.every = every_n_iterations
        self.seconds = 0.0  # of training before this process took over
        self.rows_within: int | None = 0  # rows so far, all with logits within [0, 1]; None: there was another

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = self.row_time = time.monotonic()
        self.row_images = images_seen(gan_of(trainer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not is_due(trainer, self.every):
            return
        gan = gan_of(trainer)
        losses = {key: outputs[key] for key in loss_keys(gan)}
        logits = torch.stack([outputs[key] for key in LOGITS])
        if trainer.world_size > 1:
            logits = gather_columns(trainer, logits)
            means = cast(Tensor, trainer.strategy.reduce(torch.stack(list(losses.values())), reduce_op="mean"))
            losses = dict(zip(losses, means, strict=True))
        if trainer.is_global_zero:
            self.look_for_sigmoid(logits, gan)
        row, counts = to_host(losses, norms(gan, outputs) | gan.augment.statistics(), logits, gan.loss)
        log(trainer, {**row, **learning_rates(gan), **self.speed(trainer)})
        for tracker in trackers(trainer):
            tracker.log_histograms(counts, step=trainer.global_step)

    def next_due(self, n: int) -> int:
        return next_due(n, self.every)

    def look_for_sigmoid(self, logits: Tensor, gan: GAN) -> None:
        """Warn, once, of logits that look like probabilities: the loss would take the sigmoid of a sigmoid."""
        if self.rows_within is None:
            return
        low, high = logits.aminmax()
        if low < 0 or high > 1 or not gan.loss.log_odds:
            self.rows_within = None
            return
        self.rows_within += 1
        if self.rows_within >= FIRST_ROWS and gan.global_step >= FIRST_ITERATIONS:
            logger.warning(
                "D's logits stayed in [0, 1] in all %s rows so far: does D end in a sigmoid? %s takes logits, of any "
                "real value: return the sigmoid's input.",
                self.rows_within,
                type(gan.loss).__name__,
            )
            self.rows_within = None

    def speed(self, trainer: Trainer) -> dict[str, float]:
        now, images = time.monotonic(), images_seen(gan_of(trainer))
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


def loss_keys(gan: GAN) -> list[str]:
    """The columns of losses: without those of penalties that there are none of."""
    penalties = {"loss/penalty_d": gan.penalties_d, "loss/penalty_g": gan.penalties_g}
    return ["loss/d", "loss/g", *(key for key, modules in penalties.items() if len(modules))]


def norms(gan: GAN, outputs: Outputs) -> dict[str, Tensor]:
    """Of both networks' gradients and weights."""
    networks = {"d": gan.discriminator, "g": gan.generator}
    gradients = {f"grad/norm_{name}": outputs[f"grad/norm_{name}"] for name in networks}
    return gradients | {f"weight/norm_{name}": weight_norm(net) for name, net in networks.items()}


def weight_norm(net: nn.Module) -> Tensor:
    return nn.utils.get_total_norm([p.detach() for p in net.parameters()])


def learning_rates(gan: GAN) -> dict[str, float]:
    """Of both networks' optimizers, as their schedules have set them for the next iteration."""
    groups = {"lr/d": gan.optim_d.optimizer.param_groups[0], "lr/g": gan.optim_g.optimizer.param_groups[0]}
    return {key: float(group["lr"]) for key, group in groups.items() if "lr" in group}


def to_host(
    losses: dict[str, Tensor], norms: dict[str, Tensor], logits: Tensor, loss: Loss
) -> tuple[dict[str, float], dict[str, list[int]]]:
    """The row and its histograms; all that they take is read from the device at once.

    `losses` and `norms` hold one number per column; `logits` (3, batch) are those of real and of generated samples in
    D's update, and of generated ones in G's; `loss` says what they mean.
    """
    numbers = losses | norms
    table = torch.cat([torch.stack(list(numbers.values())), logits.flatten()]).cpu()
    real, fake, fake_g = table[len(numbers) :].unflatten(0, logits.shape)
    values = dict(zip(numbers, table, strict=False)) | loss.statistics(real, fake) | {"logit/fake_g": fake_g.mean()}
    shown = {"logit/real": real, "logit/fake": fake}
    if loss.log_odds:
        values["d/fake_g"] = fake_g.sigmoid().mean()
        shown |= {"d/real": real.sigmoid(), "d/fake": fake.sigmoid()}
    return {key: value.item() for key, value in values.items()}, {k: histogram(k, x).tolist() for k, x in shown.items()}


def histogram(key: str, x: Tensor) -> Tensor:
    """Counts over the key's range; the outermost bins have what is beyond, the first NaN."""
    low, high = range_of(key)
    bins = BINS if key.startswith("d/") else 2 * BINS
    indices = ((x.clamp(low, high).nan_to_num(low) - low) * (bins / (high - low))).long().clamp(max=bins - 1)
    return torch.zeros(bins, dtype=torch.long).scatter_add_(0, indices, torch.ones_like(indices))
