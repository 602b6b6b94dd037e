r"""How strong a signal D leaves to G under either loss form, whichever is trained.

At D's logit b of a generated sample, D = sigmoid(b), the two forms descend along

    |∂ log(1 − D) / ∂b| = sigmoid(b)  = D            saturating
    |∂ (−log D)   / ∂b| = sigmoid(−b) = 1 − D        non-saturating

Both are 1/2 where D = 1/2; where D is sure of its case, b → −∞, the first dies and the second is full. By the chain
rule each sample's share in G's gradient has one of these factors and is otherwise the same, so that the first form's is
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

import json
import math
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ganduel import rng
from ganduel.callback.base import Outputs, due, gan_of, gather_columns, graphed, log, networks, next_due, read
from ganduel.errors import UserError
from ganduel.gan import GAN
from ganduel.loop import Seldom
from ganduel.loss.base import LogitLoss
from ganduel.tracking.files import LOSS_FORM

REJECTED = 0.01  # D(G(z)) below which D is sure that a sample is generated
QUANTILES = (0.05, 0.5, 0.95)


class Saturation(Callback, Seldom):
    """Logs the slopes with every row of statistics, the gradients less often.

    Args:
        every: iterations between two rows.
        gradient_every: iterations between two measurements of the whole gradients; also after the first iteration.
    """

    def __init__(self, every: int, gradient_every: int):
        for name, value in (("every", every), ("gradient_every", gradient_every)):
            if value < 1:
                raise UserError(f"callback.saturation.{name}={value} must be at least 1.")
        self.every, self.gradient_every = every, gradient_every

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = gan_of(trainer).loss
        if trainer.is_global_zero and isinstance(loss, LogitLoss):
            path = Path(trainer.default_root_dir) / LOSS_FORM
            path.write_text(json.dumps(loss.form()) + "\n", encoding="utf-8")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        row: dict[str, float] = {}
        if due(trainer, self.every):
            own = {"logit/fake_g": gather_columns(trainer, outputs["logit/fake_g"][None])[0]}
            row |= read(slopes_of, own, trainer)
        if due(trainer, self.gradient_every):
            row |= read(lengths_of, {}, trainer)
        if row and trainer.is_global_zero:
            log(trainer, {key: value for key, value in row.items() if math.isfinite(value)})

    def next_due(self, n: int) -> int:
        return min(next_due(n, self.every), next_due(n, self.gradient_every))


def slopes_of(outputs: Outputs, gans: list[GAN]) -> list[dict[str, float]]:
    return slopes(outputs["logit/fake_g"])


def slopes(b: Tensor) -> list[dict[str, float]]:
    """Each duel's slopes of both forms at logits of generated samples, (duel, batch)."""
    b = b.cpu().double()
    saturating, nonsaturating = b.sigmoid(), (-b).sigmoid()
    rejected = (saturating < REJECTED).to(b.dtype).mean(1)
    means = torch.stack([saturating.mean(1), nonsaturating.mean(1), rejected])
    at = torch.tensor(QUANTILES, dtype=b.dtype)
    quantiles = torch.cat([saturating.quantile(at, 1), nonsaturating.quantile(at, 1)])
    names = [
        f"saturation/slope_{form}_q{round(100 * q):02}" for form in ("saturating", "nonsaturating") for q in QUANTILES
    ]
    return [
        {
            "saturation/slope_saturating": first,
            "saturation/slope_nonsaturating": second,
            "saturation/ratio": first / second if second else float("inf"),
            "saturation/share_rejected": share,
            **dict(zip(names, rest, strict=True)),
        }
        for first, second, share, *rest in torch.cat([means, quantiles]).T.tolist()
    ]


def lengths_of(outputs: Outputs, gans: list[GAN]) -> list[dict[str, float]]:
    nets, launch = networks(gans), graphed(gans)
    noise = draw(gans, next(nets[0].parameters()))
    if launch is not None:
        return named(launch.alongside(lengths_and_cosine, noise, *nets))
    both = gradients(noise, *nets)
    if gans[0].peers is None:  # then there may be other ranks
        both = cast(Tensor, gans[0].trainer.strategy.reduce(both, reduce_op="mean"))
    return named(lengths(both))


def draw(gans: list[GAN], like: Tensor) -> Tensor:
    """This rank's noise for each duel. Dropout masks follow from a key of their own; the next update reseeds them."""
    drawn = list[Tensor]()
    t = max(gan.global_step for gan in gans)  # the others have not counted the iteration yet
    for gan in gans:
        for name, layer in gan.reseeded.items():
            layer.reseed((gan.seed, "saturation", name, t), gan.batch_size, gan.share)
        stream = rng.generator(gan.seed, "saturation", t, device=like.device)
        drawn.append(gan.generator.draw(gan.batch_size, stream)[gan.share])
    return torch.stack(drawn).to(like)


def gradients(noise: Tensor, generator: Any, discriminator: Any) -> Tensor:
    """G's whole gradient under the saturating form and the other, (duel, 2, weights)."""
    with torch.enable_grad():
        b = discriminator.untouched(generator.untouched(noise))
        n = b.shape[1]
        on_logits = (-b.sigmoid() / n, -(-b).sigmoid() / n)  # ∂L_G/∂b of each form
        found = [torch.autograd.grad(b, list(generator.parameters()), one, retain_graph=True) for one in on_logits]
    return torch.stack([torch.cat([g.reshape(len(noise), -1) for g in parts], 1) for parts in found], 1)


def lengths_and_cosine(noise: Tensor, generator: Any, discriminator: Any) -> Tensor:
    return lengths(gradients(noise, generator, discriminator))


def lengths(both: Tensor) -> Tensor:
    """The norms of each duel's two gradients, (duel, 2, weights), and the cosine between them; NaN where one is 0."""
    norms = both.norm(dim=2)
    first, second = (both / norms.unsqueeze(2)).unbind(1)
    return torch.cat([norms, (first * second).sum(1, True)], 1)


def named(numbers: Tensor) -> list[dict[str, float]]:
    """The row's values of each duel."""
    return [
        {
            "saturation/grad_norm_saturating": saturating,
            "saturation/grad_norm_nonsaturating": nonsaturating,
            "saturation/cosine": cosine,
        }
        for saturating, nonsaturating, cosine in numbers.tolist()
    ]
