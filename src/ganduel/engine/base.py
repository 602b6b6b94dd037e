"""How kernels are captured to be launched again, and which updates cannot be captured at all.

The captures themselves are in ganduel.engine.cuda_graph; what is made of one in ganduel.engine.captured.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch.optim import SGD, Optimizer

from ganduel.block import EACH_BATCH, callbacks_of, has_user_hooks

log = logging.getLogger("ganduel")

EACH_UPDATE = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")


class CaptureError(Exception):
    """Kernels cannot be captured, or a capture is not what Python would do now; the message says why."""


class Capture(ABC):
    """How kernels are captured and launched.

    Attributes:
        engine: the name of the engine, for messages.
        lr_dtype: of a scheduled learning rate, as a tensor that optimizers take.
    """

    engine: str
    lr_dtype: torch.dtype

    @property
    @abstractmethod
    def generator(self) -> torch.Generator:
        """The device's own, which those layers draw from that are given none."""

    @abstractmethod
    def warm_up(self, function: Callable[[], Any]) -> Any:
        """Call the function as it will be called when it is captured, but for real."""

    @abstractmethod
    def capture(self, function: Callable[[], Any], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        """Capture the function's kernels, of which none takes effect; returns what launches them.

        Args:
            function: what it makes lies in the same memory after each launch.
            generators: all that it may draw from; a launch draws what they would give at that time.

        Raises:
            CaptureError: with the reason.
        """


def log_fallback(engine: str, reason: str, consequence: str = "iterations run eagerly") -> None:
    """Say in one line what an engine does not do, and why."""
    log.info("engine=%s: %s; %s", engine, reason, consequence)


def optimizers_of(gan: Any) -> list[Optimizer]:
    """Those that take steps in an update; a population, whose members share some, says which."""
    if hasattr(gan, "optimizers_in_use"):
        return list(gan.optimizers_in_use())
    return [gan.optim_d.optimizer, gan.optim_g.optimizer]


def has_schedule(group: dict[str, Any]) -> bool:
    """Whether a schedule sets the group's learning rate: torch's schedules note there what it began with."""
    return "initial_lr" in group


def unsupported_reason(gan: Any, optimizers: Iterable[Optimizer]) -> str | None:
    """Why the updates of a GAN cannot be captured, if that can be told beforehand."""
    trainer = gan.trainer
    if trainer.world_size > 1:
        return "gradients are averaged over ranks"
    if getattr(trainer.precision_plugin, "scaler", None) is not None:
        return "a loss scale is looked at in each step"
    trainers = [trainer, *(member.trainer for member in getattr(gan, "members", []))]  # a population has several
    if any(has_user_hooks(callbacks_of(each), (*EACH_BATCH, *EACH_UPDATE)) for each in trainers):
        return "a user callback has a hook in each iteration"
    return next(filter(None, map(uncapturable_step, optimizers)), None)


def uncapturable_step(optimizer: Optimizer) -> str | None:
    """Why an optimizer's steps cannot be captured, if they cannot: a count or a rate on the host would stand still."""
    name, groups = type(optimizer).__name__, optimizer.param_groups
    if type(optimizer) is SGD:
        if any(has_schedule(group) and not group["fused"] for group in groups):
            return f"{name} takes a schedule's rate from the host unless fused=true"
        return None
    if not all("capturable" in group for group in groups):
        return f"{name} has no capturable form"
    if not all(group["capturable"] or group.get("fused") for group in groups):
        return f"{name} counts its steps on the host unless capturable=true"
    return None
