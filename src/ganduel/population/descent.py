"""One optimizer for many duels.

Torch's optimizers treat each number of a tensor alone (Adam, SGD, RMSprop, …), so that one of them on stacked weights
does to each slice what an optimizer of its own would do. Whether that is so of a given one is tried out first; one that
looks at a tensor as a whole, as Muon does, is left to the duels' own optimizers, one after another.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganduel.gan import GAN, Descent


class BlockDescent(ABC):
    """How a block of duels, which differ in the seed alone, update one of their networks.

    Args:
        net: the stacked network.
        gans: the duels of the block, in training.
        place: theirs in the stack.
        number: 0 for the network that is D, 1 for G.
    """

    def __init__(self, net: nn.Module, gans: Sequence[GAN], place: slice, number: int):
        self.place = place
        self.whole = list(net.parameters())
        self.descent = descent_of(gans[0], number)
        self.theirs = [gan.trainer.optimizers[number] for gan in gans]
        self.schedules = [
            [s for s in gan.schedules if s.optimizer is optimizer]
            for gan, optimizer in zip(gans, self.theirs, strict=True)
        ]

    def step(self, norms: Tensor) -> None:
        """Update the weights by the stacked network's gradient, whose norms are those of all duels of the stack."""
        gradients = [None if p.grad is None else p.grad[self.place] for p in self.whole]
        if self.descent.clip is not None:
            scale = (self.descent.clip / (norms[self.place] + 1e-6)).clamp(max=1.0)  # as clip_grads_with_norm_
            for gradient in gradients:
                if gradient is not None:
                    gradient.mul_(scale.view(-1, *[1] * (gradient.ndim - 1)))
        self.update(gradients)

    @abstractmethod
    def update(self, gradients: Sequence[Tensor | None]) -> None: ...

    @abstractmethod
    def follow(self) -> None:
        """Step the learning rates' schedules."""


class OneOptimizer(BlockDescent):
    """An optimizer on slices of the stack; the duels' own have its state, as views, so that they can be saved."""

    def __init__(self, *args):
        super().__init__(*args)
        self.mine = [nn.Parameter(p.detach()[self.place], p.requires_grad) for p in self.whole]
        self.optimizer = self.descent.optimizer(self.mine)
        self.schedule = None if self.descent.schedule is None else self.descent.schedule(self.optimizer)
        self.linked = 0  # how many states the duels' optimizers have
        self.adopt()

    def adopt(self) -> None:
        """Take over where the duels are: a resumed one brings moments and rates."""
        (group,), (first,) = self.optimizer.param_groups, self.theirs[0].param_groups
        group.update({key: value for key, value in first.items() if key != "params"})
        if self.schedule is not None:
            self.schedule.load_state_dict(self.schedules[0][0].state_dict())
        for mine, *theirs in zip(self.mine, *(weights(optimizer) for optimizer in self.theirs), strict=True):
            states = [optimizer.state[p] for optimizer, p in zip(self.theirs, theirs, strict=True)]
            joined = {key: join(key, [state[key] for state in states], theirs[0]) for key in states[0]}
            self.optimizer.state[mine].update(joined)

    def update(self, gradients: Sequence[Tensor | None]) -> None:
        for mine, gradient in zip(self.mine, gradients, strict=True):
            mine.grad = gradient
        self.optimizer.step()
        if self.linked != sum(map(len, self.optimizer.state.values())):  # a momentum that a schedule raises comes late
            self.link()

    def link(self) -> None:
        """Show the duels' optimizers this one's state; it is changed in place from here on."""
        for i, optimizer in enumerate(self.theirs):
            for mine, p in zip(self.mine, weights(optimizer), strict=True):
                optimizer.state[p] = {key: part(value, mine, i) for key, value in self.optimizer.state[mine].items()}
        self.linked = sum(map(len, self.optimizer.state.values()))

    def follow(self) -> None:
        if self.schedule is None:
            return
        self.schedule.step()
        (group,) = self.optimizer.param_groups
        rates = {key: value for key, value in group.items() if key != "params"}
        for optimizer, (schedule,) in zip(self.theirs, self.schedules, strict=True):
            schedule.load_state_dict(self.schedule.state_dict())  # anew each time: CyclicLR takes it apart
            optimizer.param_groups[0].update(rates)


class OwnOptimizers(BlockDescent):
    """Each duel's own optimizer, on its own weights, which are views of the stack."""

    def update(self, gradients: Sequence[Tensor | None]) -> None:
        for i, optimizer in enumerate(self.theirs):
            for p, gradient in zip(weights(optimizer), gradients, strict=True):
                p.grad = None if gradient is None else gradient[i]
            optimizer.step()
            optimizer.zero_grad()

    def follow(self) -> None:
        for schedule in (schedule for schedules in self.schedules for schedule in schedules):
            schedule.step()


def descend_together(net: nn.Module, gans: Sequence[GAN], place: slice, number: int) -> BlockDescent:
    """The fastest way that is right for the optimizer of the block at that place."""
    block = gans[place]
    kind = OneOptimizer if is_elementwise(descent_of(block[0], number), block[0].device) else OwnOptimizers
    return kind(net, block, place, number)


def descent_of(gan: GAN, number: int) -> Descent:
    return (gan.descent_d, gan.descent_g)[number]


def is_elementwise(descent: Descent, device: torch.device) -> bool:
    """Whether one optimizer does to stacked weights what one for each would: three steps on weights of three shapes.

    It may look at a tensor as a whole, or count its dimensions; or have groups, which are not taken apart here.
    """
    stream = torch.Generator().manual_seed(0)
    shapes = ((3, 5), (4,), ())
    values, *steps = (
        [torch.randn(2, *shape, generator=stream, dtype=torch.float64).to(device) for shape in shapes] for _ in range(4)
    )
    stacked = [nn.Parameter(value.clone()) for value in values]
    alone = [[nn.Parameter(value[i].clone()) for value in values] for i in range(2)]
    try:
        optimizers = [descent.optimizer(stacked), *(descent.optimizer(parts) for parts in alone)]
        for gradients in steps:
            for i, gradient in enumerate(gradients):
                stacked[i].grad = gradient.clone()
                for j, parts in enumerate(alone):
                    parts[i].grad = gradient[j].clone()
            for optimizer in optimizers:
                optimizer.step()
    except (RuntimeError, ValueError, TypeError, IndexError):
        return False
    if len(optimizers[0].param_groups) > 1:
        return False
    together = [p.detach() - value for p, value in zip(stacked, values, strict=True)]
    apart = [torch.stack([p.detach() for p in pair]) for pair in zip(*alone, strict=True)]
    apart = [p - value for p, value in zip(apart, values, strict=True)]
    return all(bool((x - y).abs().max() <= 1e-6 * y.abs().max()) for x, y in zip(together, apart, strict=True))


def weights(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def join(key: str, values: Sequence[Any], like: Tensor) -> Any:
    """One state of the duels as one: stacked where it has a number for each weight, else the same for all."""
    first = values[0]
    if not isinstance(first, Tensor):
        return first
    return torch.stack(list(values)) if key != "step" and first.shape == like.shape else first.clone()


def part(value: Any, mine: Tensor, i: int) -> Any:
    """One duel's part of a state."""
    return value[i] if isinstance(value, Tensor) and value.shape == mine.shape else value
