"""What members have besides networks and optimizers, all in one: batches, losses, augmentations, averages.

Tensors count the members in front. What differs between groups of members is done group by group; what draws, or keeps
something, is done member by member.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from ganduel.augment.base import Augment
from ganduel.batch import Batch, Minibatch, Outputs
from ganduel.ema import EMA, ema_update
from ganduel.loss.base import Loss
from ganduel.model.base import keyed_layers
from ganduel.population.member import Member, outputs_of
from ganduel.population.network import ALL, StackedNetwork, succeeds
from ganduel.rng import BlockCache, Draws


class MemberDraws(Draws):
    """Of the members' own draws, which are used member by member; there are none for all of them."""

    def __init__(self, of: Sequence[Draws]):
        self.of = list(of)


class StackedBatches:
    """The batches of all members, whose tensors count members in front."""

    draws_needed: bool = True  # whether anything draws inside an update

    def __init__(self, members: Sequence[Member]):
        self.of = [member.batches for member in members]
        first = self.of[0]
        self.k, self.batch_size, self.seeds = first.k, first.batch_size, [batches.seed for batches in self.of]
        self.data = first.data
        self.shared = all(batches.data is first.data for batches in self.of)
        self.draws = MemberDraws([batches.draws for batches in self.of])
        self.noise = BlockCache(lambda block: torch.stack([b.noise_block(block) for b in self.of], 2))
        self.fake_labels = BlockCache(lambda block: torch.stack([b.label_block(block) for b in self.of], 2))

    def __call__(self, t: int) -> Batch:
        real = [self.minibatch(t * self.k + j) for j in range(self.k)]
        real.append(real[-1])
        noise = self.noise(t)
        fake_labels = [None] * (self.k + 1) if self.data.classes is None else self.fake_labels(t)
        if self.draws_needed:
            for batches in self.of:
                batches.seed_draws(t)
        minibatches = [Minibatch(x, y, noise[j], fake_labels[j], self.draws) for j, (x, y) in enumerate(real)]
        return Batch(tuple(minibatches[:-1]), minibatches[-1])

    def seeded(self, t: int) -> AbstractContextManager[None]:
        """Inside, members draw one after another from torch's global generators, as seeded for the first of them."""
        return self.of[0].seeded(t)

    def minibatch(self, position: int) -> tuple[Tensor, Tensor | None]:
        if self.shared:
            return self.data.minibatches(self.seeds, position, self.batch_size)
        pairs = [batches.data.minibatch(batches.seed, position, self.batch_size) for batches in self.of]
        samples, labels = zip(*pairs, strict=True)
        return torch.stack(samples), None if labels[0] is None else torch.stack(labels)


class StackedEMA:
    """The averages of the members' generators, group by group."""

    def __init__(self, generator: StackedNetwork, members: Sequence[Member], groups: Sequence[slice]):
        self.averages: list[tuple[EMA, list[Tensor], list[Tensor], list[Tensor], list[Tensor]]] = []
        for of in groups:
            emas = [member.ema for member in members[of] if member.ema is not None]
            if emas:
                net = StackedNetwork([ema.net for ema in emas])
                online = [p.detach()[of] for p in generator.parameters()], [b[of] for b in generator.buffers()]
                self.averages.append((emas[0], list(net.parameters()), list(net.buffers()), *online))

    def update(self, generator: nn.Module, n: int, batch_size: int) -> None:
        """Follow the generators after iteration number n, if an update is due."""
        for ema, weights, buffers, online, online_buffers in self.averages:
            if ema.due(n):
                ema_update(weights, buffers, online, online_buffers, ema.decay(n, batch_size))


class StackedAugment:
    """What the members' D see samples through; one kernel serves a group if nothing is drawn or kept.

    Args:
        members: all of them.
        groups: their slices.
        x: samples of one member.

    Attributes:
        batched: of each group, whether one kernel serves it.
    """

    def __init__(self, members: Sequence[Member], groups: Sequence[slice], x: Tensor):
        self.modules, self.groups = list[Any](member.augment for member in members), list(groups)
        self.identity = all(type(module).forward is Augment.forward for module in self.modules)
        self.kept = [i for i, module in enumerate(self.modules) if keeps_state(module)]
        self.batched = [self.can_be_batched(self.modules[of][0], x) for of in self.groups]

    def __call__(self, x: Tensor, only: slice = ALL) -> Tensor:
        """The samples of all members, or of one group only, augmented."""
        if self.identity:
            return x[only]
        parts = []
        for of, batched in zip(self.groups, self.batched, strict=True):
            if only not in (ALL, of):
                continue
            if batched:
                parts.append(vmap(self.modules[of][0])(x[of]))
            else:
                parts += [module(samples)[None] for module, samples in zip(self.modules[of], x[of], strict=True)]
        return torch.cat(parts)

    def can_be_batched(self, module: Augment, x: Tensor) -> bool:
        if keeps_state(module) or keyed_layers(module):
            return False
        x = x.detach().expand(2, *x.shape).clone().requires_grad_()
        return self.identity or succeeds(lambda: vmap(deepcopy(module))(x).sum().backward())

    def is_batched(self, of: slice) -> bool:
        return self.batched[self.groups.index(of)]

    def adapt(self, outputs: Outputs) -> None:
        for i in self.kept:
            self.modules[i].adapt(outputs_of(outputs, i))


class StackedLoss:
    """The losses of the groups; one value per member.

    Attributes:
        real_output: D's of a group's real samples in G's update, for when not all groups' losses look at them: a pass
            through D that a member would not have alone may draw, or move a spectral norm.
    """

    real_output: Callable[[slice], Tensor]

    def __init__(self, forms: Sequence[tuple[slice, Loss]]):
        self.forms = forms
        uses = [loss.generator_uses_real for _, loss in forms]
        self.generator_uses_real, self.mixed = all(uses), any(uses) and not all(uses)
        self.batched = all(can_be_mapped(loss) for _, loss in forms)
        self.outputs, self.logits = forms[0][1].outputs, forms[0][1].logits  # members have one D

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return torch.cat([self.each(loss.discriminator)(real[of], fake[of]) for of, loss in self.forms])

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        parts = []
        for of, loss in self.forms:
            if loss.generator_uses_real:
                parts.append(self.each(loss.generator)(self.real_output(of) if real is None else real[of], fake[of]))
            else:
                parts.append(self.each(lambda b, loss=loss: loss.generator(None, b))(fake[of]))
        return torch.cat(parts)

    def each(self, function: Any) -> Any:
        return vmap(function) if self.batched else one_by_one(function)


def one_by_one(function: Any) -> Any:
    """As vmap, by a loop."""
    return lambda *inputs: torch.stack([function(*rows) for rows in zip(*inputs, strict=True)])


def can_be_mapped(loss: Loss) -> bool:
    """Whether vmap can take a loss over members; tried on a copy: one that keeps something is not to keep the trial."""
    trial = deepcopy(loss)
    logits = torch.zeros(2, 2, *[loss.outputs] * (loss.outputs > 1), requires_grad=True)
    inputs = (logits, logits) if loss.generator_uses_real else (logits,)
    generator: Any = trial.generator if loss.generator_uses_real else lambda b: trial.generator(None, b)
    return succeeds(lambda: (vmap(trial.discriminator)(logits, logits) + vmap(generator)(*inputs)).sum().backward())


def keeps_state(module: nn.Module) -> bool:
    """Whether it has buffers or weights, which are each member's own."""
    return any(True for _ in (*module.buffers(), *module.parameters()))
