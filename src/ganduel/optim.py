"""How one network follows its gradient: its optimizer, learning-rate schedule and gradient clipping."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ganduel.types import Scalar

DIFFERENTIABLE = {"differentiable": True, "fused": False, "foreach": False}  # settings of an optimizer of torch


class Optim:
    """The optimizer of one network, built when training begins.

    Args:
        make_optimizer: builds the optimizer from the network's parameters.
        make_schedule: builds the learning-rate schedule from the optimizer, stepped once per iteration; None: constant.
        clip: the largest norm of the network's whole gradient; a longer one is scaled down to it. None: no limit.

    Attributes:
        penalties: of the network, which may change its weights after a step.
        optimizer, schedule: what was built; schedule is None for a constant rate.
        norm: of the gradient of the last step, before clipping.
    """

    optimizer: Optimizer
    schedule: LRScheduler | None
    norm: Scalar
    penalties: Sequence[Any] = ()

    def __init__(
        self,
        make_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        make_schedule: Callable[[Optimizer], LRScheduler] | None = None,
        clip: float | None = None,
    ):
        self.make_optimizer, self.make_schedule, self.clip = make_optimizer, make_schedule, clip

    def configure(self, net: nn.Module, penalties: Iterable[Any] = ()) -> dict[str, Any]:
        """Build the optimizer and the schedule for a network; returns what Lightning saves and restores."""
        self.penalties = tuple(penalties)
        self.optimizer = self.new_optimizer(net.parameters())
        self.schedule = None if self.make_schedule is None else self.make_schedule(self.optimizer)
        built = {"optimizer": self.optimizer, "lr_scheduler": self.schedule}
        return {key: value for key, value in built.items() if value is not None}

    def new_optimizer(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """An optimizer of these parameters, each step of which is followed by what the penalties do after one."""
        optimizer = self.make_optimizer(parameters)
        if self.penalties:
            after_step = torch.no_grad(self.after_step)
            optimizer.register_step_post_hook(lambda stepped, *_: after_step(parameters_of(stepped)))
        return optimizer

    def after_step(self, parameters: Iterable[Tensor]) -> None:
        """What the penalties make of these, in place, after a step."""
        for penalty in self.penalties:
            penalty.after_step(parameters)

    def differentiable(self) -> "DifferentiableSteps":
        """The steps that the optimizer would take from here on."""
        return DifferentiableSteps(self)

    @property
    def parameters(self) -> list[nn.Parameter]:
        return parameters_of(self.optimizer)

    def clip_gradients(self) -> None:
        """Measure the norm of the whole gradient, and scale the gradient down to `clip` if it is longer."""
        self.norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if self.clip is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, self.clip, self.norm)

    def step_schedule(self) -> None:
        if self.schedule is not None:
            self.schedule.step()


class DifferentiableSteps:
    """Steps by the rule of an optimizer, from its present state, that autograd follows; the optimizer is left as it is.

    It works in place, on copies: what a step is given is needed for its gradient.
    """

    def __init__(self, optim: Optim):
        self.optim, self.rule = optim, copy(optim.optimizer)  # without hooks
        self.rule.defaults = {**self.rule.defaults, **DIFFERENTIABLE}
        self.groups, self.states = self.rule.param_groups, self.rule.state

    def step(self, weights: Mapping[nn.Parameter, Tensor], gradient: Tensor) -> dict[nn.Parameter, Tensor]:
        """The next weights.

        Args:
            weights: the present ones, by the parameters of the optimizer that they began as.
            gradient: of all of them, flat.
        """
        if self.optim.clip is not None:
            gradient = gradient * (self.optim.clip / (gradient.norm() + 1e-6)).clamp(max=1.0)
        # A root of squared gradients has no slope at 0, where those of units that are dead stay.
        gradient = torch.where(gradient.square() < torch.finfo(gradient.dtype).tiny, gradient.detach(), gradient)
        moved = {p: w.clone() for p, w in weights.items()}
        for w, g in zip(moved.values(), gradient.split([w.numel() for w in moved.values()]), strict=True):
            w.grad = g.view_as(w).to(w.dtype)
        self.rule.param_groups = [
            {**group, **{key: value for key, value in DIFFERENTIABLE.items() if key in group},
             "params": [moved[p] for p in group["params"] if p in moved]}
            for group in self.groups
        ]  # fmt: skip
        self.rule.state = defaultdict(dict, {w: copies(self.states.get(p, {})) for p, w in moved.items()})
        self.rule.step()
        self.states = {**self.states, **{p: self.rule.state[w] for p, w in moved.items()}}
        self.optim.after_step(moved.values())
        return moved


def copies(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.clone() if isinstance(value, Tensor) else value for key, value in state.items()}


def parameters_of(optimizer: Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """Gradients pass through the network inside, and none is kept for its weights."""
    trained = [p for p in net.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
