"""The updates of an iteration as a list of kernels: noted once, then called one after another without autograd.

A small GAN's iteration on a CPU is a few hundred kernels of a few microseconds each, and what torch does around them
takes as long: modules, the graph that autograd builds and walks, the optimizers' Python. None of it changes from one
iteration to the next. So one is done as usual while a `TorchDispatchMode` notes each kernel with its arguments, those
of backward passes and optimizers included, and a function is written that calls these and nothing else:

    t12 = mm(t11, c5)
    t13 = leaky_relu_backward(t12, t8, 0.2, False)
    del t8, t12

A tensor that a noted kernel has made (t) is made anew in each call, and freed after its last use; any other (c) is one
of the run's, a weight or a moment, and is used in place. Kernels and their order are those of the iteration that was
noted, and so are all bits of the result. What Python does between kernels happens once, as in a CUDA graph.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import DispatchKey, DispatchKeySet, _ExcludeDispatchKeyGuard
from torch._ops import OpOverload
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from ganduel.graph import CannotBeRecorded, Recorder

aten = torch.ops.aten
# Kernels whose results Python reads, or sizes tensors by: another iteration may take another way after them.
READS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
# What a noted kernel has behind it already: its place in autograd's graph, and the dtype that autocast gave it.
DONE = (
    DispatchKeySet(DispatchKey.AutogradCPU)
    | DispatchKeySet(DispatchKey.ADInplaceOrView)
    | DispatchKeySet(DispatchKey.AutocastCPU)
)


class Replay(Recorder):
    """Notes what a function does while it does it, and calls the kernels again."""

    option, otherwise = "trainer.replay", "iterations go through autograd"
    device, place = "cpu", "a CPU"
    runs, rates = True, torch.float64

    def warm_up(self, function: Callable[[], Any]) -> Any:
        return function()

    def record(self, function: Callable[[], Iterable[Tensor]]) -> Callable[[], None]:
        """Call the function for real; what is returned does the same again, and leaves its results in the same tensors.

        So with the gradients of parameters: each call leaves its own.

        Raises:
            CannotBeRecorded: if another call might do something else; this one has been done nevertheless.
        """
        notes = Notes()
        with notes:
            results = list(function())
        if notes.obstacle is not None:
            raise CannotBeRecorded(notes.obstacle)
        owners = [x for x in notes.objects.values() if isinstance(x, nn.Parameter) and x.grad in notes]
        calls = notes.function(results, [notes.made[owner.grad] for owner in owners])

        def launch() -> None:
            for owner in owners:
                owner.grad = None
            with _ExcludeDispatchKeyGuard(DONE):
                gradients = calls()
            for owner, gradient in zip(owners, gradients, strict=True):
                owner.grad = gradient

        return launch


class Notes(TorchDispatchMode):
    """The kernels that are called inside, as lines of Python; `in` it are the tensors that they have made.

    Attributes:
        obstacle: why another call might take another way, if it might.
        objects: what the names in the lines stand for, but those of tensors that are made anew.
    """

    def __init__(self):
        super().__init__()
        self.obstacle: str | None = None
        self.objects: dict[str, Any] = {}
        self.lines: list[tuple[str, list[str]]] = []  # each with the names in it of what is made anew
        self.made = WeakTensorKeyDictionary()  # these names, as long as the tensors live
        self.memory: dict[int, StorageWeakRef] = {}  # theirs, by its address
        self.names: dict[int, str] = {}  # of the objects
        self.count = 0

    def __contains__(self, tensor: Tensor | None) -> bool:
        return tensor is not None and tensor in self.made

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.obstacle is None and func.namespace != "profiler":
            self.note(func, args, kwargs or {}, result)
        return result

    def note(self, func: OpOverload, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        inputs = tensors((args, kwargs))
        anew = any(tensor in self for tensor in inputs)
        if READS & set(func.tags):
            self.obstacle = f"{func._schema.name} reads a value back"
        elif anew and (func.is_view or func is aten._unsafe_view.default) and shows_all(inputs[0], result):
            self.made[result] = self.made[inputs[0]]
        elif func is aten.lift_fresh.default and not self.hides(inputs[0]):
            # A number of Python's, that may be written to.
            self.write(aten.clone.default, [inputs[0].clone()], {}, result)
        elif func is aten._foreach_add_.Scalar and all(x.dtype == torch.float32 for x in inputs):
            # Steps are counted: the number would become a tensor again for each of them.
            self.write(aten._foreach_add_.Tensor, [args[0], torch.tensor(args[1], dtype=torch.float32)], kwargs, result)
        elif anew or not func.is_view or any(map(self.hides, inputs)):  # else a view of what stays where it is
            self.write(func, args, kwargs, result)

    def write(self, func: OpOverload, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        """The line of a call."""
        used: list[str] = []
        words = [self.word(x, used) for x in args] + [f"{key}={self.word(x, used)}" for key, x in kwargs.items()]
        line = f"{self.name(getattr(func, '_op', func))}({', '.join(words)})"
        given = {id(tensor) for tensor in tensors((args, kwargs))}
        several = isinstance(result, tuple | list)
        targets = [
            self.new(x, used) if isinstance(x, Tensor) and id(x) not in given else "_"
            for x in (result if several else [result])
        ]
        if set(targets) - {"_"}:
            line = f"{', '.join(targets)}{',' if several else ''} = {line}"
        self.lines.append((line, used))

    def word(self, x: Any, used: list[str]) -> str:
        """An argument as it is written."""
        if isinstance(x, tuple | list):
            return f"[{', '.join(self.word(y, used) for y in x)}]"
        if x is None or isinstance(x, bool | int | str):
            return repr(x)
        if isinstance(x, Tensor) and x in self:
            used.append(self.made[x])
            return used[-1]
        if isinstance(x, torch.UntypedStorage) or (isinstance(x, Tensor) and self.hides(x)):
            self.obstacle = "a kernel's memory is used past torch"
        return self.name(x)

    def hides(self, tensor: Tensor) -> bool:
        """Whether it has memory that a kernel has filled, and is not known to have it."""
        memory = self.memory.get(tensor.untyped_storage().data_ptr())
        return tensor not in self and memory is not None and not memory.expired()

    def name(self, x: Any) -> str:
        """That of an object."""
        if id(x) not in self.names:
            self.names[id(x)] = name = f"c{len(self.names)}"
            self.objects[name] = x
        return self.names[id(x)]

    def new(self, tensor: Tensor, used: list[str]) -> str:
        """A name for what a kernel has made."""
        if address := tensor.untyped_storage().data_ptr():
            self.memory[address] = StorageWeakRef(tensor.untyped_storage())
        self.made[tensor] = name = f"t{self.count}"
        self.count += 1
        used.append(name)
        return name

    def function(self, results: Iterable[Tensor], kept: Collection[str]) -> Callable[[], list[Tensor]]:
        """What calls the kernels, copies the results to where they are now, and returns what has those names."""
        copies = [(f"{self.name(x)}.copy_({self.made[x]})", [self.made[x]]) for x in results if x in self]
        lines = self.lines + copies
        last = {name: i for i, (_, used) in enumerate(lines) for name in used if name not in kept}
        ends: dict[int, list[str]] = {}
        for name, i in last.items():
            ends.setdefault(i, []).append(name)
        body = [f"{line}; del {', '.join(ends[i])}" if i in ends else line for i, (line, _) in enumerate(lines)]
        source = "\n    ".join(["def calls():", *body, f"return [{', '.join(kept)}]"])
        exec(compile(source, "kernels of an iteration", "exec"), names := dict(self.objects))
        return names["calls"]


def shows_all(tensor: Tensor, view: Any) -> bool:
    """Whether a view is as good as what it is a view of."""
    return isinstance(view, Tensor) and all(
        f(tensor) == f(view)
        for f in (Tensor.size, Tensor.stride, Tensor.storage_offset, Tensor.is_conj, Tensor.is_neg, Tensor.data_ptr)
    )


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
