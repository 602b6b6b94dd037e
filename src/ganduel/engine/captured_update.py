"""The kernels of an update, captured for one set of penalties, with the memory that they read and write.

A batch is copied into tensors of the capture before each launch, and so are the learning rates that a schedule sets.
What an update returns lies in the capture's memory; numbers are copied from there, as they are kept for longer.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ganduel.batch import Batch, Due, Outputs
from ganduel.engine.base import Capture, CaptureError, has_schedule
from ganduel.engine.host_state import HostState, generators_in

Update = Callable[[Batch, Due], Outputs]


class CapturedUpdate:
    """The capture for one set of penalties.

    Attributes:
        proved: whether a launch has been seen to do what the update does.
        generators: what it may draw from.
    """

    proved = False

    def __init__(
        self,
        capture: Capture,
        host_state: HostState,
        optimizers: list[Optimizer],
        update: Update,
        batch: Batch,
        due: Due,
    ):
        self.form = form(batch)
        self.batch = with_copies(batch, {id(leaf): leaf.clone() for leaf in leaves(batch) if isinstance(leaf, Tensor)})
        drawn_from = [*generators_in({"batch": batch}), *host_state.generators, capture.generator]
        self.generators = list({id(generator): generator for generator in drawn_from}.values())
        self.groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        self.scheduled = [group for group in self.groups if has_schedule(group)]
        like = torch.empty((), dtype=capture.lr_dtype, device=capture.generator.device)
        self.rates = [torch.full_like(like, group["lr"]) for group in self.scheduled]
        with self.capturable_optimizers():
            self.run = capture.capture(lambda: self.keep(update(self.batch, due)), self.generators)

    def keep(self, outputs: Outputs) -> None:
        """Hold what is returned; numbers, which have the fewest dimensions, in one tensor per dtype to copy at once."""
        names: dict[torch.dtype, list[str]] = {}
        for name, value in outputs.items():
            if value.ndim == min(output.ndim for output in outputs.values()):
                names.setdefault(value.dtype, []).append(name)
        self.outputs = outputs
        self.numbers = [(some, torch.stack([outputs[name] for name in some])) for some in names.values()]

    @contextmanager
    def capturable_optimizers(self) -> Iterator[None]:
        """Scheduled rates are tensors inside, and optimizers do not object to being captured."""
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

    def launch(self, batch: Batch) -> Outputs:
        """The update of a batch."""
        if form(batch) != self.form:
            raise CaptureError("the form of the batch has changed")
        for own, new, (position, *_) in zip(leaves(self.batch), leaves(batch), self.form, strict=True):
            if position is not None:
                own.copy_(new)
        for rate, group in zip(self.rates, self.scheduled, strict=True):
            rate.fill_(group["lr"])
        self.run()
        outputs = dict(self.outputs)
        for names, values in self.numbers:
            outputs.update(zip(names, values.clone().unbind(), strict=True))
        return outputs


def leaves(tree: Any) -> list[Any]:
    """What a batch is made of: tensors, and what is none."""
    if isinstance(tree, tuple):
        return [leaf for branch in tree for leaf in leaves(branch)]
    if is_dataclass(tree):
        return [leaf for field in fields(tree) for leaf in leaves(getattr(tree, field.name))]
    return [tree]


def form(batch: Batch) -> list[tuple]:
    """What a batch has in common with all that a capture can take: which tensors are one, shapes, other objects."""
    first: dict[int, int] = {}
    return [
        (first.setdefault(id(leaf), i), leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else (None, leaf)
        for i, leaf in enumerate(leaves(batch))
    ]


def with_copies(tree: Any, copies: dict[int, Tensor]) -> Any:
    """The batch with its tensors replaced, by their ids."""
    if isinstance(tree, tuple):
        return tuple(with_copies(branch, copies) for branch in tree)
    if is_dataclass(tree) and not isinstance(tree, type):
        return replace(tree, **{f.name: with_copies(getattr(tree, f.name), copies) for f in fields(tree)})
    return copies.get(id(tree), tree)
