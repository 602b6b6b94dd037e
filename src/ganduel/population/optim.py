"""One optimizer for the members of a population.

Torch's optimizers treat each number of a tensor alone (Adam, SGD, RMSprop, …), so that one of them on stacked weights
does to each slice what an optimizer of its own would do. Whether that is so of a given one is tried out first; one that
looks at a tensor as a whole, as Muon does, is left to the members' own optimizers, one after another.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganduel.optim import Optim


class StackedOptim:
    """How the members' networks follow their gradients.

    Args:
        net: the stacked network.
        optims: the members' own, built.
        groups: slices of members that differ in the seed alone.
    """

    def __init__(self, net: nn.Module, optims: Sequence[Optim], groups: Sequence[slice]):
        self.net = net
        self.groups = [stack_optimizer(net, optims, of) for of in groups]
        self.clips = any(group.clip is not None for group in self.groups)

    def step(self, norms: Tensor) -> None:
        """Update the weights by the stacked network's gradient, whose norms are (members,)."""
        for group in self.groups:
            group.step(norms)

    def step_schedule(self) -> None:
        for group in self.groups:
            group.step_schedule()

    @property
    def optimizers(self) -> list[Optimizer]:
        """Those that take the steps."""
        return [optimizer for group in self.groups for optimizer in group.optimizers]


class OptimizerGroup(ABC):
    """How a group of members, which differ in the seed alone, update one of their networks.

    Args:
        net: the stacked network.
        optims: the members' own.
        of: the members' slice of the stack.
    """

    optimizers: list[Optimizer]

    def __init__(self, net: nn.Module, optims: Sequence[Optim], of: slice):
        self.of, self.optims, self.clip = of, list(optims[of]), optims[of][0].clip
        self.stacked = list(net.parameters())
        self.member_optimizers = [optim.optimizer for optim in self.optims]

    def step(self, norms: Tensor) -> None:
        """Clip and step."""
        gradients = [None if p.grad is None else p.grad[self.of] for p in self.stacked]
        if self.clip is not None:
            scale = (self.clip / (norms[self.of] + 1e-6)).clamp(max=1.0)  # as clip_grads_with_norm_
            for gradient in gradients:
                if gradient is not None:
                    gradient.mul_(scale.view(-1, *[1] * (gradient.ndim - 1)))
        self.update(gradients)

    @abstractmethod
    def update(self, gradients: Sequence[Tensor | None]) -> None: ...

    @abstractmethod
    def step_schedule(self) -> None: ...


class SharedOptimizer(OptimizerGroup):
    """An optimizer on slices of the stack; the members' own have its state, as views, so that they can be saved."""

    def __init__(self, net: nn.Module, optims: Sequence[Optim], of: slice):
        super().__init__(net, optims, of)
        self.slices = [nn.Parameter(p.detach()[of], p.requires_grad) for p in self.stacked]
        first = self.optims[0]
        self.optimizer = first.new_optimizer(self.slices)
        self.schedule = None if first.make_schedule is None else first.make_schedule(self.optimizer)
        self.optimizers = [self.optimizer]
        self.linked = 0  # how many states the members' optimizers have
        self.adopt()

    def adopt(self) -> None:
        """Take over where the members are: a resumed one brings moments and rates."""
        (group,), (first,) = self.optimizer.param_groups, self.member_optimizers[0].param_groups
        group.update({key: value for key, value in first.items() if key != "params"})
        if self.schedule is not None:
            self.schedule.load_state_dict(self.optims[0].schedule.state_dict())  # type: ignore[union-attr]
        for stacked, *members in zip(self.slices, *(optim.parameters for optim in self.optims), strict=True):
            states = [optimizer.state[p] for optimizer, p in zip(self.member_optimizers, members, strict=True)]
            joined = {key: join(key, [state[key] for state in states], members[0]) for key in states[0]}
            self.optimizer.state[stacked].update(joined)

    def update(self, gradients: Sequence[Tensor | None]) -> None:
        for stacked, gradient in zip(self.slices, gradients, strict=True):
            stacked.grad = gradient
        self.optimizer.step()
        if self.linked != sum(map(len, self.optimizer.state.values())):  # a momentum that a schedule raises comes late
            self.link()

    def link(self) -> None:
        """Show the members' optimizers this one's state; it is changed in place from here on."""
        for i, optim in enumerate(self.optims):
            for stacked, p in zip(self.slices, optim.parameters, strict=True):
                state = self.optimizer.state[stacked]
                optim.optimizer.state[p] = {key: member_state(value, stacked, i) for key, value in state.items()}
        self.linked = sum(map(len, self.optimizer.state.values()))

    def step_schedule(self) -> None:
        if self.schedule is None:
            return
        self.schedule.step()
        (group,) = self.optimizer.param_groups
        rates = {key: value for key, value in group.items() if key != "params"}
        for optim in self.optims:
            optim.schedule.load_state_dict(self.schedule.state_dict())  # type: ignore[union-attr]  # CyclicLR empties it
            optim.optimizer.param_groups[0].update(rates)


class PerMemberOptimizers(OptimizerGroup):
    """Each member's own optimizer, on its own weights, which are views of the stack."""

    def __init__(self, net: nn.Module, optims: Sequence[Optim], of: slice):
        super().__init__(net, optims, of)
        self.optimizers = self.member_optimizers

    def update(self, gradients: Sequence[Tensor | None]) -> None:
        for i, optim in enumerate(self.optims):
            for p, gradient in zip(optim.parameters, gradients, strict=True):
                p.grad = None if gradient is None else gradient[i]
            optim.optimizer.step()
            optim.optimizer.zero_grad()

    def step_schedule(self) -> None:
        for optim in self.optims:
            optim.step_schedule()


def stack_optimizer(net: nn.Module, optims: Sequence[Optim], of: slice) -> OptimizerGroup:
    """The fastest way that is right for the optimizer of these members."""
    device = next(net.parameters()).device
    return (SharedOptimizer if is_elementwise(optims[of][0], device) else PerMemberOptimizers)(net, optims, of)


def is_elementwise(optim: Optim, device: torch.device) -> bool:
    """Whether one optimizer does to stacked weights what one for each would: three steps on weights of three shapes.

    It may look at a tensor as a whole, or count its dimensions; or have groups, which are not taken apart here.
    """
    stream = torch.Generator().manual_seed(0)
    shapes = ((3, 5), (4,), ())
    values, *steps = (
        [torch.randn(2, *shape, generator=stream, dtype=torch.float64).to(device) for shape in shapes] for _ in range(4)
    )
    stacked = [nn.Parameter(value.clone()) for value in values]
    single = [[nn.Parameter(value[i].clone()) for value in values] for i in range(2)]
    try:
        optimizers = [optim.make_optimizer(stacked), *(optim.make_optimizer(parameters) for parameters in single)]
        for gradients in steps:
            for i, gradient in enumerate(gradients):
                stacked[i].grad = gradient.clone()
                for j, parameters in enumerate(single):
                    parameters[i].grad = gradient[j].clone()
            for optimizer in optimizers:
                optimizer.step()
    except (RuntimeError, ValueError, TypeError, IndexError):
        return False
    if len(optimizers[0].param_groups) > 1:
        return False
    together = [p.detach() - value for p, value in zip(stacked, values, strict=True)]
    apart = [torch.stack([p.detach() for p in pair]) for pair in zip(*single, strict=True)]
    apart = [p - value for p, value in zip(apart, values, strict=True)]
    return all(bool((x - y).abs().max() <= 1e-6 * y.abs().max()) for x, y in zip(together, apart, strict=True))


def join(key: str, values: Sequence[Any], like: Tensor) -> Any:
    """One state of the members as one: stacked where it has a number for each weight, else the same for all."""
    first = values[0]
    if not isinstance(first, Tensor):
        return first
    return torch.stack(list(values)) if key != "step" and first.shape == like.shape else first.clone()


def member_state(value: Any, stacked: Tensor, i: int) -> Any:
    """One member's part of a state."""
    return value[i] if isinstance(value, Tensor) and value.shape == stacked.shape else value
