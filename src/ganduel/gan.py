"""Algorithm 1 of Goodfellow et al. 2014 (arXiv:1406.2661): k updates of D on fresh data and noise, then one of G.

for t in iterations:
    for j in 1 … k:   D ← D − ∇_D [ L_D(D(x), D(G(z))) + Σ penalties ]        x, z fresh
    G ← G − ∇_G [ L_G(D(x), D(G(z))) + Σ penalties ],   G_ema ← β G_ema + (1 − β) G
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from ganduel.augment.base import Augment
from ganduel.batch import Batch, Batches, Due, Engine, Minibatch, Outputs, discriminate, eager
from ganduel.block import block, count_step, loader
from ganduel.ema import EMA
from ganduel.loss.base import Loss
from ganduel.model.base import as_logits, check_parts, conditioned, mixes_samples
from ganduel.model.unrolled import Unrolled
from ganduel.optim import Optim, frozen
from ganduel.penalty.base import Penalty, due_in
from ganduel.ranks import average_gradients
from ganduel.types import Labels, Logits, Samples, Scalar


class GAN(LightningModule):
    """A generator and a discriminator in training.

    Args:
        generator, discriminator: G(z) or G(z, y) → samples, D(x) or D(x, y) → logits (batch,); y with classes only.
        loss: what each of the two minimises, as functions of D's logits.
        batches: what iteration t sees: real samples, labels, noise.
        optim_d, optim_g: optimizer, schedule and gradient clipping of each network.
        penalties_d, penalties_g: terms that the loss of D or G gains, by their names.
        augment: what D sees samples through, real and generated alike; None: as they are.
        ema: the moving average of G that samples are taken from; None: from G itself.
        engine: runs `update`, and may compile or capture it; by default it calls it.
        unroll: steps that D takes ahead of G, which follows its gradient through them; 0: D as it is.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: Loss,
        batches: Batches,
        optim_d: Optim,
        optim_g: Optim,
        penalties_d: Mapping[str, Penalty] | None = None,
        penalties_g: Mapping[str, Penalty] | None = None,
        augment: Augment | None = None,
        ema: EMA | None = None,
        engine: Engine = eager,
        unroll: int = 0,
    ):
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.discriminator, self.ema = generator, discriminator, ema
        self.penalties_d, self.penalties_g = nn.ModuleDict(penalties_d or {}), nn.ModuleDict(penalties_g or {})
        self.augment, self.loss, self.batches = augment or Augment(), loss, batches
        self.optim_d, self.optim_g, self.engine, self.opponent = optim_d, optim_g, engine, Unrolled(unroll)
        check_parts(self)
        self.mixes_samples = mixes_samples(discriminator, batches.data.shape, batches.data.classes)

    def training_step(self, _batch: Any, _index: int) -> Outputs:
        """Iterations up to the next one at which a callback is due."""
        self.block_outputs = list(map(self.iterate, block(self.trainer)))
        return self.block_outputs[-1]

    def iterate(self, t: int) -> Outputs:
        """Iteration t, one `global_step`: a pure function of weights, seed and t. Returns losses, norms and logits."""
        due = due_in(t, *self.penalties_d.values(), *self.penalties_g.values())
        with self.batches.seeded(t):
            outputs = self.engine(self.update, self.batches(t), due)
            self.after(t, outputs)
        return outputs

    def update(self, batch: Batch, due: Due = ()) -> Outputs:
        """The k updates of D and that of G; a function of the batch and of state that is changed in place."""
        for minibatch in batch.discriminator:
            outputs = self.update_discriminator(minibatch, due)
        return outputs | self.update_generator(batch.generator, due)

    def update_discriminator(self, b: Minibatch, due: Due) -> Outputs:
        with torch.no_grad():  # D's update never reaches G's weights
            fake = conditioned(self.generator, b.noise, b.fake_labels)
        loss, penalty, of_real, of_fake = self.objective_d(b, fake, due)
        norm = self.descend(self.optim_d, loss + penalty)
        return {"loss/d": loss.detach(), "loss/penalty_d": penalty.detach(), "grad/norm_d": norm,
                "logit/real": self.loss.logits(of_real).detach(),
                "logit/fake": self.loss.logits(of_fake).detach()}  # fmt: skip

    def update_generator(self, b: Minibatch, due: Due) -> Outputs:
        fake = conditioned(self.generator, b.noise, b.fake_labels)
        output = self.opponent(self, b, fake, due)
        with frozen(self.discriminator):
            of_fake = output(fake, b.fake_labels)
            of_real = output(b.real, b.labels) if self.loss.generator_uses_real else None
            loss = self.loss.generator(of_real, of_fake)
            penalty = self.penalty(self.penalties_g.values(), due, self.generator, b, fake)
            norm = self.descend(self.optim_g, loss + penalty)
        return {"loss/g": loss.detach(), "loss/penalty_g": penalty.detach(), "grad/norm_g": norm,
                "logit/fake_g": self.loss.logits(of_fake).detach()}  # fmt: skip

    def objective_d(self, b: Minibatch, fake: Samples, due: Due) -> tuple[Tensor, ...]:
        """L_D and D's penalties, and D's output for real and generated samples."""
        of_real, of_fake = discriminate(self.output, b, fake, self.mixes_samples)
        penalty = self.penalty(self.penalties_d.values(), due, self.logits, b, fake.to(b.real.dtype))
        return self.loss.discriminator(of_real, of_fake), penalty, of_real, of_fake

    def logits(self, x: Samples, y: Labels | None = None) -> Logits:
        return self.loss.logits(self.output(x, y))

    def output(self, x: Samples, y: Labels | None = None) -> Tensor:
        """D's logits of augmented samples, in float32 at least: losses are taken on these whatever autocast does."""
        return as_logits(conditioned(self.discriminator, self.augment(x), y), self.loss.outputs)

    def penalty(self, penalties: Iterable[Any], due: Collection[Any], net: Any, b: Minibatch, fake: Samples) -> Scalar:
        """The sum of those that are due; one that comes every n-th iteration weighs n times as much."""
        with torch.autocast(self.device.type, enabled=False):  # bfloat16 has no digits left for a second derivative
            return sum([p.every * p(net, b, fake) for p in penalties if p in due], b.noise.new_zeros(()))

    def descend(self, optim: Optim, loss: Scalar) -> Scalar:
        """One step of a network's optimizer down the gradient; returns the gradient's norm, before any clipping."""
        optim.optimizer.zero_grad()
        self.manual_backward(loss)
        average_gradients(optim.parameters)  # over ranks
        self.trainer.strategy.optimizer_step(optim.optimizer, lambda: None)  # calls on_before_optimizer_step
        torch.clear_autocast_cache()  # the next forward pass casts the new weights
        return optim.norm

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Measure the gradient and clip it: here it is averaged over the ranks and free of the scale of 16-mixed."""
        (self.optim_d if optimizer is self.optim_d.optimizer else self.optim_g).clip_gradients()

    def after(self, t: int, outputs: Outputs) -> None:
        """What follows the updates: the average of G, the learning rates, the augmentation's strength, the count."""
        if self.ema is not None:
            self.ema.update(self.generator, t + 1, self.batches.batch_size)
        self.optim_d.step_schedule()
        self.optim_g.step_schedule()
        self.augment.adapt(outputs)
        count_step(self.trainer)  # of k + 1 steps of optimizers, which an engine may replay unseen

    def configure_optimizers(self) -> Any:
        d, g = self.penalties_d.values(), self.penalties_g.values()
        return [self.optim_d.configure(self.discriminator, d), self.optim_g.configure(self.generator, g)]

    def train_dataloader(self) -> Any:
        return loader(self.trainer, self.batches.iterations_per_epoch)

    def on_fit_start(self) -> None:
        self.batches.attach(self, self.trainer.global_rank, self.trainer.world_size)

    @property
    def ema_generator(self) -> nn.Module:
        """The network to sample from: the average of G where there is one."""
        return self.generator if self.ema is None else self.ema.net
