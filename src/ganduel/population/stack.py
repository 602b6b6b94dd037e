"""Algorithm 1 for many duels at once: one forward pass, one backward pass and one optimizer's step for all of them.

Duels differ in seed, and may differ in loss form, penalty, optimizer, schedule, clipping and average. Consecutive ones
that differ in the seed alone are a block: what is not the same for all is done block by block, on slices.

Each duel has the data, the noise and the dropout masks of its seed, drawn as if it were alone. Nothing passes between
the duels: the gradient of the sum of their losses has in each one's slice the gradient of its own loss.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import vmap

from ganduel.algorithm import Algorithm1, full
from ganduel.ema import EMA, blend
from ganduel.engine.compiled import as_they_are
from ganduel.engine.graph import GraphedUpdates, graphed
from ganduel.engine.recorder import Beside
from ganduel.gan import GAN, each_norm
from ganduel.loss.base import Loss
from ganduel.population.descent import BlockDescent, OneOptimizer, descend_together
from ganduel.population.network import WHOLE, StackedNetwork, can_be_batched, succeeds
from ganduel.rng import Blocks

log = logging.getLogger("ganduel")


class Stack(Algorithm1):
    """The duels as one.

    Their networks become views of the stack, and their optimizers and schedules follow what is done here: each duel can
    be sampled from and saved at any time, as if it had done its iterations itself.

    Args:
        gans: duels in training, all at the same iteration, of one architecture, k and batch size.
        kinds: one for each duel; equal for those that differ in the seed alone.
    """

    axis = 1

    def __init__(self, gans: Sequence[GAN], kinds: Sequence[str]):
        first = gans[0]
        self.gans, self.k, self.one_pass = list(gans), first.k, first.one_pass
        groups = [[i for i, _ in group] for _, group in groupby(enumerate(kinds), key=lambda pair: pair[1])]
        places = [slice(group[0], group[-1] + 1) for group in groups] if len(groups) > 1 else [WHOLE]
        self.noises = Blocks(lambda block: torch.stack([gan.draw(block) for gan in self.gans], dim=2))
        self.seeds = [gan.seed for gan in gans]
        self.data = first.data if all(gan.data is first.data for gan in gans) else None
        self.loss = StackedLoss([(place, self.gans[place][0].loss) for place in places])
        self.penalties = [(place, self.gans[place][0].penalty) for place in places]
        with self.precision():
            batched = self.generator_can_be_batched(), self.discriminator_can_be_batched()
        self.generator = StackedNetwork([gan.generator for gan in gans], batched[0])
        self.discriminator = StackedNetwork([gan.discriminator for gan in gans], batched[1])
        for name in (name for name, can in zip("GD", batched, strict=True) if not can):
            log.info("%s has layers that cannot be batched: the members' are run one after another", name)
        self.descents: dict[nn.Module, list[BlockDescent]] = {
            net: [descend_together(net, self.gans, place, number) for place in places]
            for number, net in enumerate((self.discriminator, self.generator))
        }
        emas = [(place, [gan.ema for gan in self.gans[place] if gan.ema is not None]) for place in places]
        self.averages = [StackedAverage(self.generator, place, block) for place, block in emas if block]

        if first.compiled:
            as_they_are("members are batched by vmap", "their networks run as they are")
        self.graphed = self.graph()

    def graph(self) -> GraphedUpdates | None:
        """All duels' updates as one graph, if that can be."""
        first, blocks = self.gans[0], [block for blocks in self.descents.values() for block in blocks]
        shared = [block for block in blocks if isinstance(block, OneOptimizer)]
        optimizers = [block.optimizer for block in shared]
        scheduled = [block.optimizer for block in shared if block.schedule is not None]
        hindrance = first.hindrance or (None if shared == blocks else "members have optimizers of their own")
        updates = partial(self.update, 0)  # whatever the iteration: nothing is reseeded
        recorders = min((gan.recorders for gan in self.gans), key=len)
        return graphed(updates, 1, optimizers, scheduled, recorders, first.device, hindrance)

    def generator_can_be_batched(self) -> bool:
        gan = self.gans[0]
        return can_be_batched(gan.generator, lambda net, z: net(z), gan.noise(gan.global_step)[0])

    def discriminator_can_be_batched(self) -> bool:
        """Its logits, and its penalties."""
        gan = self.gans[0]
        real = gan.minibatch(0)
        penalties = [deepcopy(penalty) for _, penalty in self.penalties if penalty.active]
        return can_be_batched(gan.discriminator, lambda net, x: net(x), real) and all(
            can_be_batched(gan.discriminator, penalty, real, real) for penalty in penalties
        )

    def iterate(self, t: int) -> dict[str, Tensor]:
        with self.precision():
            return super().iterate(t)

    def precision(self) -> AbstractContextManager:
        """What is switched on for an iteration of a duel alone."""
        return self.gans[0].precision()

    def noise(self, t: int) -> Tensor:
        return self.noises(t)

    def minibatch(self, position: int) -> Tensor:
        if self.data is None:
            return torch.stack([gan.minibatch(position) for gan in self.gans])
        return self.data.minibatches(self.seeds, position, self.gans[0].batch_size)[0]

    def reseed(self, t: int, update: int) -> None:
        for gan in self.gans:
            gan.reseed(t, update)

    def penalise(self, real: Tensor, fake: Tensor) -> Tensor:
        with torch.autocast(real.device.type, enabled=False):
            return joined(
                [
                    cast(StackedNetwork, self.discriminator).each(penalty, x, full(taken(fake, place)), of=place)
                    if penalty.active
                    else real.new_zeros(len(x))
                    for place, penalty, x in ((place, penalty, taken(real, place)) for place, penalty in self.penalties)
                ]
            )

    def descend(self, net: nn.Module, loss: Tensor) -> Tensor:
        net.zero_grad()
        loss.backward(torch.ones_like(loss))
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        blocks, beside = self.descents[net], Beside()
        with beside.fork():
            norms = each_norm(gradients, len(self.gans))
        if any(block.descent.clip is not None for block in blocks):
            beside.join()
        for block in blocks:
            block.step(norms)
        beside.join()
        return norms

    def follow(self, t: int) -> None:
        batch_size = self.gans[0].batch_size
        for average in self.averages:
            average.update(t + 1, batch_size)
        for blocks in self.descents.values():
            for block in blocks:
                block.follow()

    def apart(self, outputs: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
        """What `iterate` returned, duel by duel."""
        for values in zip(*(values.unbind() for values in outputs.values()), strict=True):
            yield dict(zip(outputs, values, strict=True))


class StackedAverage:
    """The averages of a block's generators.

    Args:
        generator: the stacked G.
        place: the block's place in it.
        emas: the averages of its duels.
    """

    def __init__(self, generator: StackedNetwork, place: slice, emas: Sequence[EMA]):
        net = StackedNetwork([ema.net for ema in emas])
        self.due, self.decay = emas[0].due, emas[0].decay
        self.mine = list[Tensor](net.parameters()), list(net.buffers())
        self.theirs = [p.detach()[place] for p in generator.parameters()], [b[place] for b in generator.buffers()]

    def update(self, n: int, batch_size: int) -> None:
        """Follow the generators after iteration number n, if an update is due."""
        if self.due(n):
            blend(*self.mine, *self.theirs, self.decay(n, batch_size))


@dataclass
class StackedLoss:
    """The loss forms of the blocks; a value a duel."""

    forms: Sequence[tuple[slice, Loss]]

    def __post_init__(self):
        logits = torch.zeros(2, 2, requires_grad=True)
        self.generator_uses_real = any(loss.generator_uses_real for _, loss in self.forms)
        forms, self.forms = self.forms, deepcopy(self.forms)  # one that keeps something is not to keep this
        self.batched = succeeds(lambda: (self.d(vmap, logits, logits) + self.g(vmap, logits, logits)).sum().backward())
        self.forms = forms

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.d(vmap if self.batched else one_by_one, real, fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return self.g(vmap if self.batched else one_by_one, real, fake)

    def d(self, over: Any, real: Tensor, fake: Tensor) -> Tensor:
        return joined([over(loss.discriminator)(taken(real, place), taken(fake, place)) for place, loss in self.forms])

    def g(self, over: Any, real: Tensor | None, fake: Tensor) -> Tensor:
        return joined(
            [
                over(loss.generator)(taken(real, place), taken(fake, place))
                if loss.generator_uses_real and real is not None
                else over(lambda b, loss=loss: loss.generator(None, b))(taken(fake, place))
                for place, loss in self.forms
            ]
        )


def taken(x: Tensor, place: slice) -> Tensor:
    """A block's part."""
    return x if place == WHOLE else x[place]


def joined(parts: list[Tensor]) -> Tensor:
    """The blocks' parts as one."""
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def one_by_one(function: Any) -> Any:
    """As vmap, by a loop."""
    return lambda *inputs: torch.stack([function(*rows) for rows in zip(*inputs, strict=True)])
