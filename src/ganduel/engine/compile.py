"""G and D by torch.compile: fewer kernels, and fewer ways through memory, for some seconds at the start.

Compiled are the networks' forward functions, and in force inside an update only: samples, metrics and callbacks see the
plain networks. On a GPU the compiled update becomes a CUDA graph too.

    iterations 1, 2     run as they are
    iteration 3         runs both as it is and compiled, from one state; the first counts (ganduel.engine.proof)
    from 4 on           compiled, if the two agreed: to some digits, as other kernels round otherwise

A penalty differentiates its network twice, as unrolling does D; compiled functions do not allow that. What cannot be
compiled runs as it is, and one line says why.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import call
from typing import Any

import torch
from torch import nn

from ganduel.batch import Batch, Due, Engine, Outputs
from ganduel.distributed import on_cpu
from ganduel.engine.base import log_fallback, optimizers_of, unsupported_reason
from ganduel.engine.captured import CapturedStep
from ganduel.engine.captured_update import Update
from ganduel.engine.cuda_graph import CUDACapture
from ganduel.engine.host_state import HostState, generators_in
from ganduel.engine.proof import State, Tolerance, prove
from ganduel.model.base import keyed_layers

FLOAT32, BFLOAT16 = Tolerance(0.05, 1e-3), Tolerance(0.5, 1e-2)  # Adam's first steps follow the signs of gradients


def build(trainer: Mapping[str, Any]) -> Engine:
    """The engine; what it compiles is captured where there is a CUDA device."""
    captures = not on_cpu(trainer) and torch.cuda.is_available()
    return CompiledStep(CapturedStep(CUDACapture()) if captures else call)  # type: ignore[arg-type]


class CompiledStep:
    """The engine: calls a GAN's update with the networks compiled.

    Args:
        inner: the engine that runs the compiled update.
    """

    def __init__(self, inner: Engine):
        self.inner = inner
        self.gan: Any = None

    def __call__(self, update: Update, batch: Batch, due: Due) -> Outputs:
        gan: Any = update.__self__  # type: ignore[attr-defined]
        if gan is not self.gan:
            self.gan, self.host_state, self.iterations, self.forwards = gan, None, 0, forwards(gan)
        self.iterations += 1
        if not self.forwards or self.iterations > 3:
            with self.compiled():
                return self.inner(update, batch, due)
        if self.iterations == 3:
            return self.prove(update, batch, due)
        outputs = update(batch, due)
        self.host_state = self.host_state or HostState(gan, optimizers_of(gan))
        return outputs

    @contextmanager
    def compiled(self) -> Iterator[None]:
        """The networks are compiled inside."""
        before = [(net, vars(net).get("forward")) for net in self.forwards]
        for net, forward in self.forwards.items():
            net.forward = forward
        try:
            yield
        finally:
            for net, forward in before:
                if forward is None:
                    del net.forward
                else:
                    net.forward = forward

    def prove(self, update: Update, batch: Batch, due: Due) -> Outputs:
        """The third iteration: one in which nothing on the host changed may be run twice."""
        assert self.host_state is not None
        if (name := self.host_state.changed()) is not None:
            self.fall_back(f"{name} has changed")
            return update(batch, due)

        def fast() -> Outputs:
            with self.compiled():
                return update(batch, due)

        device = self.gan.device
        own = torch.cuda.default_generators[device.index] if device.type == "cuda" else torch.default_generator
        state = State(optimizers_of(self.gan), self.host_state.tensors, [*generators_in({"batch": batch}), own])
        tolerance = BFLOAT16 if torch.is_autocast_enabled(device.type) else FLOAT32
        outputs, difference = prove(state, lambda: update(batch, due), fast, tolerance, launches=1)
        if difference is not None:
            self.fall_back(f"compiled networks give {difference}")
        return outputs

    def fall_back(self, reason: str) -> None:
        self.forwards = {}
        log_fallback("compile", reason, "the networks run as they are")


def forwards(gan: Any) -> dict[nn.Module, Callable]:
    """The compiled forward functions of those networks that can be compiled; a line on each other one."""
    reason = unsupported_reason(gan, ())
    if list(getattr(gan, "members", [gan])) != [gan]:
        reason = "members are batched by vmap"
    if reason is not None:
        log_fallback("compile", reason, "the networks run as they are")
        return {}
    compiled = {}
    twice_d = len(gan.penalties_d) > 0 or gan.opponent.steps > 0
    for name, net, twice in (("G", gan.generator, len(gan.penalties_g) > 0), ("D", gan.discriminator, twice_d)):
        if keyed_layers(net):
            log_fallback("compile", f"{name} has layers that draw at random", f"{name} runs as it is")
        elif twice:
            log_fallback("compile", f"{name} is differentiated twice", f"{name} runs as it is")
        else:
            compiled[net] = torch.compile(net.forward, dynamic=False)
    return compiled
