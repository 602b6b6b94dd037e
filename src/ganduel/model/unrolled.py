"""Unrolled GANs: G's loss is taken on the D that some more steps on this minibatch make, and follows them.

    φ⁰ = φ,  φⁱ⁺¹ = φⁱ − the step of D's optimizer for ∇_φ [ L_D(φⁱ, θ) + Σ penalties ]        i = 0 … K − 1
    G ← G − ∇_θ L_G(φᴷ(θ), θ)

θ, φ are the weights of G and D. The gradient goes through the K steps: G sees how D will react. D's own update is as
without, and nothing that D, its penalties and its optimizer keep is changed. A step is the one that D's optimizer would
take now, from its present state, with its rate, clipping of gradients and of weights. It descends what D does: the same
real samples, labels and penalties, through an augmentation drawn anew; without autocast, as it is differentiated twice;
with the mean gradient of all ranks. What D's own gradient takes for constant (the vectors of a spectral norm, averages
that a penalty keeps) is constant here too.
Source: Metz, Poole, Pfau, Sohl-Dickstein 2017, "Unrolled generative adversarial networks", section 2.2, whose steps are
those of Adam in the experiments (arXiv:1611.02163). There G and D are updated at once, here G after D.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ganduel.errors import UserError, summary_of
from ganduel.model.base import conditioned, keyed_layers, mixes_samples
from ganduel.ranks import differentiable_mean_over_ranks
from ganduel.rng import all_seeded

FEW = 8  # packs of samples, to try it out on
NOT_D = ("generator.", "ema.")  # modules of a GAN that have no part in what D makes of samples


class Unrolled:
    """D as G's update sees it.

    Args:
        steps: K; 0: D as it is.
    """

    def __init__(self, steps: int = 0):
        self.steps = steps

    def __call__(self, gan: Any, b: Any, fake: Tensor, due: Any) -> Callable[..., Tensor]:
        """D's output as a function of samples and labels: `gan.output`, or that of D after the steps.

        Args:
            gan: of which G's update is due.
            b: the minibatch.
            fake: its generated samples.
            due: the penalties that D's updates have.
        """
        if not self.steps:
            return gan.output
        whole, real_fake = Bound(gan), fake.to(b.real.dtype)
        names = {p: f"gan.discriminator.{name}" for name, p in gan.discriminator.named_parameters()}
        buffers = {f"gan.{name}": x for name, x in gan.named_buffers() if not name.startswith(NOT_D)}
        rule = gan.optim_d.differentiable()
        weights = {p: p.detach().requires_grad_() for p in gan.optim_d.parameters if p.requires_grad}
        for _ in range(self.steps):
            buffers = {name: x.clone() for name, x in buffers.items()}
            tensors = {names[p]: w for p, w in weights.items()} | buffers
            with torch.autocast(fake.device.type, enabled=False):
                loss, penalty, *_ = functional_call(whole, tensors, (gan.objective_d, b, real_fake, due))
            gradients = torch.autograd.grad(loss + penalty, [*weights.values()], create_graph=True, allow_unused=True)
            used = {p: g for p, g in zip(weights, gradients, strict=True) if g is not None}
            flat = differentiable_mean_over_ranks(torch.cat([g.flatten() for g in used.values()]))
            weights |= rule.step({p: weights[p] for p in used}, flat)
        tensors = {names[p]: w for p, w in weights.items()} | {name: x.clone() for name, x in buffers.items()}
        return lambda *inputs: functional_call(whole, tensors, (gan.output, *inputs))

    def check(self, gan: Any) -> None:
        """Refuse parts of a GAN whose steps have no gradient, which is tried out on copies."""
        if not self.steps:
            return
        trial = deepcopy(gan, {id(part): part for part in (gan.generator, gan.ema, gan.batches, gan.engine)})
        optimizer = gan.optim_d.make_optimizer(trial.discriminator.parameters())
        if "differentiable" not in optimizer.defaults:
            name = type(optimizer).__name__
            raise UserError(f"unroll={self.steps}: {name} has no differentiable form. Use optimizer=adam or sgd for D.")
        b = gan.batches(0).generator
        rows = slice(FEW * getattr(gan.discriminator, "pack", 1))
        b = replace(b, **{f.name: x[rows] for f in fields(b) if isinstance(x := getattr(b, f.name), Tensor)})
        trial.mixes_samples = mixes_samples(gan.discriminator, b.real.shape[1:], gan.batches.data.classes)
        for layer in keyed_layers(trial.discriminator) + keyed_layers(trial.augment):
            layer.draws = b.draws
        fake = b.real.flip(0).clone().requires_grad_()
        objectives = {
            f"D ({type(gan.discriminator).__name__})": lambda: conditioned(trial.discriminator, fake, b.fake_labels),
            f"loss ({type(gan.loss).__name__})": lambda: trial.objective_d(b, fake, ())[0],
        }
        for name, penalty in trial.penalties_d.items():
            objectives[f"penalty.{name}"] = lambda penalty=penalty: trial.objective_d(b, fake, (penalty,))[1]
        for name, objective in objectives.items():
            if reason := not_twice(objective, list(trial.discriminator.parameters())):
                raise UserError(f"unroll={self.steps}: {name} cannot be differentiated twice: {reason}.")


def not_twice(objective: Callable[[], Tensor], weights: list[nn.Parameter]) -> str | None:
    """Why the gradient of an objective in the weights has no gradient itself; None: it has."""
    try:
        with all_seeded("trial"):
            value = objective().sum()
        if not value.requires_grad:  # a penalty without a term
            return None
        factor = torch.ones_like(value).requires_grad_()  # once_differentiable refuses such a gradient alone
        gradients = torch.autograd.grad(factor * value, weights, create_graph=True, allow_unused=True)
        sum([g.square().sum() for g in gradients if g is not None], factor).backward()
    except RuntimeError as error:
        return summary_of(error)
    return None


class Bound(nn.Module):
    """Calls functions of a GAN, for `functional_call`: while it does, the GAN has other tensors."""

    def __init__(self, gan: nn.Module):
        super().__init__()
        self.gan = gan

    def forward(self, function: Callable[..., Any], *inputs: Any) -> Any:
        return function(*inputs)
