r"""How strong a signal D leaves to G, under the loss that is trained and under both forms of Goodfellow et al. 2014.

    saturation/slope                  mean |∂L_G/∂b| over the logits b of the minibatch of G's update, of a loss with a
                                      term per logit

Where logits are log-odds, D = sigmoid(b), the two forms descend along

    |∂ log(1 − D) / ∂b| = sigmoid(b)  = D            saturating
    |∂ (−log D)   / ∂b| = sigmoid(−b) = 1 − D        non-saturating

Both are 1/2 where D = 1/2; where D is sure of its case, b → −∞, the first dies and the second is full. By the chain
rule each sample's part of G's gradient has one of these factors and is otherwise the same, so that the first form's is
D / (1 − D) = exp(b) times the second's, through any generator.

    saturation/slope_saturating       mean D over the minibatch of G's update; …_q05, …_q50, …_q95 its quantiles
    saturation/slope_nonsaturating    mean 1 − D, likewise
    saturation/ratio                  the first mean over the second
    saturation/share_rejected         share of samples with D(G(z)) < 0.01
    saturation/grad_norm_saturating, saturation/grad_norm_nonsaturating
                                      norm of G's whole gradient under each form, at the weights after the iteration
    saturation/cosine                 of the angle between the two gradients; 1: they differ in length alone

What is not finite, such as the cosine with a gradient of length 0, is left out. The last three take a forward pass and
two backward passes more, and come at a lower rate. Their noise is a draw of its own and buffers are copies: watching
changes nothing in training.
Source: Goodfellow et al. 2014, "Generative Adversarial Nets", section 3 (arXiv:1406.2661); Goodfellow
2016, "NIPS 2016 Tutorial", section 3.2.3 (arXiv:1701.00160).
"""

import math
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.func import functional_call

from ganduel import rng
from ganduel.block import Scheduled
from ganduel.callback.base import gan_of, gather_columns, is_due, log, next_due
from ganduel.errors import UserError
from ganduel.gan import GAN
from ganduel.tracking.files import LOSS_FORM, to_json

REJECTED = 0.01  # D(G(z)) below which D is sure that a sample is generated
QUANTILES = (0.05, 0.5, 0.95)


class Saturation(Callback, Scheduled):
    """Logs the slopes with every row of statistics, the gradients less often.

    Args:
        every_n_iterations: between two rows.
        gradient_every_n_iterations: between two measurements of the whole gradients; also after the first iteration.
    """

    def __init__(self, every_n_iterations: int, gradient_every_n_iterations: int):
        self.every, self.gradient_every = every_n_iterations, gradient_every_n_iterations
        for name, value in (("every", self.every), ("gradient_every", self.gradient_every)):
            if value < 1:
                raise UserError(f"callback.saturation.{name}_n_iterations={value} must be at least 1.")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = gan_of(trainer).loss
        self.log_odds, self.form = loss.log_odds, loss.per_logit
        if trainer.is_global_zero and self.form is not None:
            path = Path(trainer.default_root_dir) / LOSS_FORM
            path.write_text(to_json(self.form.form()) + "\n", encoding="utf-8")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        row: dict[str, float] = {}
        if (self.log_odds or self.form) and is_due(trainer, self.every):
            logits = gather_columns(trainer, outputs["logit/fake_g"][None])[0]
            if self.form is not None:
                row["saturation/slope"] = self.form.curve(logits)[1].abs().mean().item()
            if self.log_odds:
                row |= slopes(logits)
        if self.log_odds and is_due(trainer, self.gradient_every):
            gradients = cast(Tensor, trainer.strategy.reduce(both_gradients(gan_of(trainer)), reduce_op="mean"))
            row |= lengths_and_cosine(gradients)
        if row:
            log(trainer, {key: value for key, value in row.items() if math.isfinite(value)})

    def next_due(self, n: int) -> int:
        return min(next_due(n, self.every), next_due(n, self.gradient_every))


def slopes(b: Tensor) -> dict[str, float]:
    """The slopes of both forms at logits of generated samples, (batch,)."""
    b = b.cpu().double()
    saturating, nonsaturating = b.sigmoid(), (-b).sigmoid()
    first, second = saturating.mean().item(), nonsaturating.mean().item()
    at = torch.tensor(QUANTILES, dtype=b.dtype)
    quantiles = {
        f"saturation/slope_{form}_q{round(100 * q):02}": value
        for form, slope in (("saturating", saturating), ("nonsaturating", nonsaturating))
        for q, value in zip(QUANTILES, slope.quantile(at).tolist(), strict=True)
    }
    return {
        "saturation/slope_saturating": first,
        "saturation/slope_nonsaturating": second,
        "saturation/ratio": first / second if second else float("inf"),
        "saturation/share_rejected": (saturating < REJECTED).to(b.dtype).mean().item(),
        **quantiles,
    }


def both_gradients(gan: GAN) -> Tensor:
    """G's whole gradient under the saturating form and the other, (2, weights), on noise of its own."""
    noise, labels = draw(gan)
    with torch.enable_grad():
        x = without_updating_buffers(gan.generator, noise, labels)
        b = gan.loss.logits(without_updating_buffers(gan.discriminator, gan.augment(x), labels))
        on_logits = (-b.sigmoid() / len(b), -(-b).sigmoid() / len(b))  # ∂L_G/∂b of each form
        weights = [p for p in gan.generator.parameters() if p.requires_grad]
        gradients = [torch.autograd.grad(b, weights, slope, retain_graph=True) for slope in on_logits]
    return torch.stack([torch.cat([part.flatten() for part in parts]) for parts in gradients])


def draw(gan: GAN) -> tuple[Tensor, Tensor | None]:
    """This rank's noise and labels. What layers draw has a key of its own; the next iteration begins its own stream."""
    batches, t = gan.batches, gan.global_step
    batches.seed_draws(t, "saturation")
    stream, like = rng.generator(batches.seed, "saturation", t), next(gan.generator.parameters())
    noise = batches.draw_noise(batches.batch_size, stream)[batches.rows].to(like)
    if gan.batches.data.classes is None:
        return noise, None
    return noise, gan.batches.data.draw_labels(batches.batch_size, stream)[batches.rows].to(like.device)


def without_updating_buffers(net: nn.Module, x: Tensor, y: Tensor | None) -> Tensor:
    """The network's output as in training, its running statistics and the like left as they are."""
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    return functional_call(net, buffers, (x,) if y is None else (x, y))


def lengths_and_cosine(both: Tensor) -> dict[str, float]:
    """The norms of the two gradients, (2, weights), and the cosine between them; NaN where one is 0."""
    norms = both.norm(dim=1)
    first, second = both / norms.unsqueeze(1)
    saturating, nonsaturating, cosine = torch.cat([norms, (first * second).sum()[None]]).tolist()
    return {
        "saturation/grad_norm_saturating": saturating,
        "saturation/grad_norm_nonsaturating": nonsaturating,
        "saturation/cosine": cosine,
    }
