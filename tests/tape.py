"""CUDA graph capture, emulated on the CPU: kernels are listed with their tensors, and called again on the same memory.

As while a GPU's stream is captured, nothing takes effect while the list is made, and reading a value is an error. What
Python does in between happens once. What it cannot show: streams, the GPU's memory pool, kernels that CUDA forbids.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganduel.engine.base import Capture, CaptureError

READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero", "aten::masked_select"}


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class NoReads(TorchDispatchMode):
    """Kernels that make a GPU's host wait are errors; the names of all others are listed."""

    def __init__(self):
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        if name in READS:
            raise RuntimeError(f"{name}: operation not permitted when stream is capturing\nand much more")
        self.names.append(name)
        return func(*args, **(kwargs or {}))


class Tape(NoReads):
    """The list of the calls, and the memory that they use as it was before."""

    def __init__(self):
        super().__init__()
        self.calls: list[tuple[Callable, tuple, dict, list[Tensor]]] = []
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage | None]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for tensor in tensors((args, kwargs)):
            memory = tensor.untyped_storage()
            if memory.data_ptr() not in self.before:
                self.before[memory.data_ptr()] = memory, memory.clone()
        result = super().__torch_dispatch__(func, types, args, kwargs)
        for tensor in tensors(result):
            memory = tensor.untyped_storage()
            self.before.setdefault(memory.data_ptr(), (memory, None))
        self.calls.append((func, args, kwargs or {}, tensors(result)))
        return result

    def rewind(self) -> None:
        for memory, value in self.before.values():
            if value is not None:
                memory.copy_(value)

    @torch.no_grad()
    def play(self) -> None:
        for func, args, kwargs, results in self.calls:
            for old, new in zip(results, tensors(func(*args, **kwargs)), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class TapeCapture(Capture):
    """Captures on tape; counts what it is asked for."""

    engine = "cuda_graph"
    lr_dtype = torch.float64  # which optimizers of the CPU take, so that no digit is lost
    generator = torch.default_generator

    def __init__(self):
        self.warm_ups = self.captures = self.launches = 0

    def warm_up(self, function: Callable[[], Any]) -> Any:
        self.warm_ups += 1
        return function()

    def capture(self, function: Callable[[], Any], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        self.captures += 1
        states = [generator.get_state() for generator in generators]
        tape = Tape()
        try:
            with tape:
                function()
        except RuntimeError as error:
            raise CaptureError(str(error).splitlines()[0]) from error
        finally:
            tape.rewind()
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)

        def launch() -> None:
            self.launches += 1
            tape.play()

        return launch
