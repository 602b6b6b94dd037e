"""Steps of D by its optimizer, and G's loss on the D after them: what unrolled GANs are compared with."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from ganduel import GAN


def step_d(gan: GAN, b: Any, fake: Tensor) -> None:
    """A step of D's own optimizer."""
    gan.optim_d.optimizer.zero_grad()
    loss, penalty, *_ = gan.objective_d(b, fake.detach(), tuple(gan.penalties_d.values()))
    (loss + penalty).backward()
    gan.optim_d.clip_gradients()
    gan.optim_d.optimizer.step()


def in_training(gan: GAN, steps: int = 3) -> tuple[GAN, Any]:
    """A GAN in float64 whose D has taken some steps, and a minibatch."""
    gan.double().configure_optimizers()
    gan.batches.attach(gan, 0, 1)
    b = gan.batches(0).generator
    b = replace(b, **{f.name: x.double() for f in fields(b) if torch.is_tensor(x := getattr(b, f.name))})
    for _ in range(steps):
        step_d(gan, b, gan.generator(b.noise))
    return gan, b


def loss_g(gan: GAN, b: Any, output: Callable[..., Tensor], fake: Tensor) -> Tensor:
    return gan.loss.generator(output(b.real) if gan.loss.generator_uses_real else None, output(fake))


def unrolled(gan: GAN, b: Any) -> Tensor:
    """L_G on the unrolled D."""
    gan.batches.seed_draws(0)
    fake = gan.generator(b.noise)
    return loss_g(gan, b, gan.opponent(gan, b, fake, tuple(gan.penalties_d.values())), fake)


def after_real_steps(gan: GAN, b: Any, steps: int) -> Tensor:
    """L_G on a copy of D that has taken the steps."""
    gan = deepcopy(gan)  # its optimizer too, but for hooks
    gan.batches.seed_draws(0)
    fake = gan.generator(b.noise)
    for _ in range(steps):
        step_d(gan, b, fake)
        with torch.no_grad():
            gan.optim_d.after_step(gan.optim_d.parameters)
    return loss_g(gan, b, gan.output, fake)
