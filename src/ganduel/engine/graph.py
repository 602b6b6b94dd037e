"""The updates of an iteration as one CUDA graph: recorded once, then launched as a whole.

A small GAN's iteration is a few hundred kernels of a few microseconds each, and Python takes longer to launch one than
the GPU to run it. A CUDA graph is the list of the kernels with their arguments: what Python did between them is not
done again. So all that changes from one iteration to the next must lie in memory whose place stays the same: noise and
real samples are copied into tensors of the graph's own, rates that a schedule sets likewise, and Adam counts its steps
on the device. Numbers of the optimizers that a graph has fixed are watched, and end it when they change.

    iterations 1 … 3       as without a graph, on a stream of their own: libraries set themselves up
    iteration 4            the updates are recorded, and launched
    from 5 on              noise and samples are copied in, the graph is launched

On a CPU the place of the graph is taken by a replay (replay.py), for the same reasons and under the same rules.

Source: "CUDA semantics, whole-network capture" in PyTorch's documentation.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ganduel.engine.recorder import CannotBeRecorded, Recorder

log = logging.getLogger("ganduel")

Updates = Callable[[Tensor, Sequence[Tensor]], dict[str, Tensor]]
WARM_UP = 3


class GraphedFunction:
    """A function of one tensor as a graph, from the second call on; as it is, where that cannot be."""

    def __init__(self, function: Callable[[Tensor], Tensor], recorder: Recorder):
        self.function, self.recorder = function, recorder
        self.warm, self.failed = False, False
        self.launch: Callable[[], None] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        if not self.warm:
            self.warm = True
            return self.recorder.warm_up(lambda: self.function(x))
        if self.launch is None and not self.failed:
            self.input = x.clone()
            try:
                self.launch = self.recorder.record(self.record)
            except CannotBeRecorded:
                self.failed = True
            if self.recorder.runs:
                return self.output.clone()
        if self.launch is None:
            return self.function(x)
        self.input.copy_(x)
        self.launch()
        return self.output.clone()

    def record(self) -> list[Tensor]:
        self.output = self.function(self.input)
        return [self.output]


class GraphedUpdates:
    """Calls a duel's updates, and after a few iterations launches their graph instead.

    Args:
        updates: from the noise of the k + 1 minibatches and the k real ones to what an iteration returns.
        axis: the dimensions of a value that is one number for each duel, 0 for a duel alone. These values are returned
            as copies; others are the graph's own, and overwritten by the next iteration.
        optimizers: those that take the steps.
        scheduled: those of them whose rates change; the graph has these as tensors, in the dtype of the recorder.
        recorder: how kernels are recorded.
        level: of the line that says that they no longer are.
    """

    def __init__(
        self,
        updates: Updates,
        axis: int,
        optimizers: Sequence[Optimizer],
        scheduled: Collection[Optimizer],
        recorder: Recorder,
        level: int = logging.INFO,
    ):
        self.updates, self.axis, self.optimizers, self.recorder = updates, axis, optimizers, recorder
        self.groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        self.scheduled = [group for optimizer in scheduled for group in optimizer.param_groups]
        self.level, self.calls = level, 0
        self.others: dict[Callable, GraphedFunction] = {}
        self.launch: Callable[[], None] | None = None
        self.given_up = False

    def __call__(self, noise: Tensor, reals: Sequence[Tensor]) -> dict[str, Tensor]:
        self.calls += 1
        if self.given_up:
            return self.updates(noise, reals)
        if self.calls <= WARM_UP:
            return self.recorder.warm_up(lambda: self.updates(noise, reals))
        if self.launch is None:
            self.begin(noise, reals)
            if self.recorder.runs:
                return self.results()
        elif changed := self.changed():
            self.give_up(f"{changed} changes from iteration to iteration")
        if self.launch is None:
            return self.updates(noise, reals)
        for mine, new in zip(self.inputs, (noise, *reals), strict=True):
            mine.copy_(new)
        for rate, group in zip(self.rates, self.scheduled, strict=True):
            rate.fill_(group["lr"])
        self.launch()
        return self.results()

    def results(self) -> dict[str, Tensor]:
        """What the iteration returns."""
        return {**self.outputs, **dict(zip(self.names, self.figures.clone().unbind(), strict=True))}

    def alongside(self, function: Callable[..., Tensor], x: Tensor, *networks: Any) -> Tensor:
        """What a function gives for x and the networks in training; as a graph of its own, where there is one of these.

        It draws nothing and reads nothing back. The networks, and the shape of x, are the same each time.
        """
        if self.launch is None:
            return function(x, *networks)
        if function not in self.others:
            self.others[function] = GraphedFunction(lambda x: function(x, *networks), self.recorder)
        return self.others[function](x)

    def begin(self, noise: Tensor, reals: Sequence[Tensor]) -> None:
        """Record the updates, if that can be."""
        self.inputs = [noise.clone(), *(real.clone() for real in reals)]
        self.rates = [
            torch.tensor(float(group["lr"]), dtype=self.recorder.rates, device=noise.device) for group in self.scheduled
        ]
        self.fixed = self.hyperparameters()
        try:
            with self.on_device():
                self.launch = self.recorder.record(self.record)
        except CannotBeRecorded as error:
            self.give_up(str(error))

    def record(self) -> list[Tensor]:
        """The updates on the graph's own inputs; those numbers in one tensor, to be copied at once."""
        self.outputs = self.updates(self.inputs[0], self.inputs[1:])
        self.names = [name for name, value in self.outputs.items() if value.ndim == self.axis]
        self.figures = torch.stack([self.outputs[name] for name in self.names])
        return [self.figures, *(value for name, value in self.outputs.items() if name not in self.names)]

    @contextmanager
    def on_device(self) -> Iterator[None]:
        """Scheduled rates are tensors inside, and optimizers do not object to being recorded."""
        before = [dict(group) for group in self.groups]
        for group in self.groups:
            group.update({"capturable": True} if "capturable" in group else {})
        for group, rate in zip(self.scheduled, self.rates, strict=True):
            group["lr"] = rate
        try:
            yield
        finally:
            for group, values in zip(self.groups, before, strict=True):
                group.update(values)

    def hyperparameters(self) -> list[dict[str, Any]]:
        """What the optimizers' kernels get as numbers."""
        return [
            {k: v for k, v in group.items() if k != "params" and (k != "lr" or not self.has_schedule(group))}
            for group in self.groups
        ]

    def has_schedule(self, group: dict[str, Any]) -> bool:
        return any(group is one for one in self.scheduled)

    def changed(self) -> str | None:
        """The name of a number that the graph has fixed and that is another now."""
        pairs = zip(self.fixed, self.hyperparameters(), strict=True)
        return next((key for old, new in pairs for key in old if old[key] != new.get(key)), None)

    def give_up(self, reason: str) -> None:
        """Without the graph from here on."""
        self.given_up, self.launch = True, None
        for optimizer in self.optimizers:
            optimizer.zero_grad()  # gradients may lie in the graph's memory
        no_graph(self.recorder, reason, self.level)


def graphed(
    updates: Updates,
    axis: int,
    optimizers: Sequence[Optimizer],
    scheduled: Collection[Optimizer],
    recorders: Iterable[tuple[type[Recorder], int]],
    device: torch.device,
    hindrance: str | None,
) -> GraphedUpdates | None:
    """The updates as a graph, by the first of the recorders that can; None, if none can.

    Each that cannot leaves a line, of the level given with it, that names the device, the hindrance or an optimizer.
    """
    for recorder, level in recorders:
        wrong = (
            f"it needs {recorder.place}, and this run is on {device.type}" if device.type != recorder.device else None
        )
        reasons = (unfit(optimizer, optimizer in scheduled) for optimizer in optimizers)
        if (reason := wrong or hindrance or next(filter(None, reasons), None)) is None:
            return GraphedUpdates(updates, axis, optimizers, scheduled, recorder(), level)
        no_graph(recorder, reason, level)
    return None


def no_graph(recorder: Recorder | type[Recorder], reason: str, level: int) -> None:
    """Say in one line why there is none."""
    log.log(level, "%s: %s; %s", recorder.option, reason, recorder.otherwise)


def unfit(optimizer: Optimizer, scheduled: bool) -> str | None:
    """Why an optimizer's steps cannot be recorded, if they cannot: a count or a rate on the host would stand still."""
    name, groups = type(optimizer).__name__, optimizer.param_groups
    if type(optimizer) is SGD:
        fused = all(group["fused"] for group in groups)
        return f"{name} takes a schedule's rate from the host unless fused=true" if scheduled and not fused else None
    if not all("capturable" in group for group in groups):
        return f"{name} has no capturable form"
    if not all(group["capturable"] or group.get("fused") for group in groups):
        return f"{name} counts its steps on the host unless capturable=true"
    return None
