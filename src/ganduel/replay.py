"""The updates of an iteration as a list of kernels: noted once, then called one after another without autograd.

A small GAN's iteration on a CPU is a few hundred kernels of a few microseconds each, and what torch does around them
takes as long: modules, the graph that autograd builds and walks, the optimizers' Python. None of it changes from one
iteration to the next. So one is done as usual while a `TorchDispatchMode` notes each kernel with its arguments, those
of backward passes and optimizers included, and a function is written that calls these and nothing else:

    mm(t11, c5, out=t12)
    leaky_relu_backward(t12, t8, 0.2, False, grad_input=t13)
    t14 = convolution(t13, c6, ...)
    add_(t14, c7); del t14

What a kernel makes (t) has its place in memory, where the kernel has a form that writes to one: the same in each call,
and in one call that of several, one after another, as no two are needed at once. So nothing is allocated, views are
made once, and memory is in the cache of the core that wrote to it last. What other kernels make is made anew in each
call, and freed after its last use. The rest (c) is the run's, a weight or a moment, and is used in place.

Kernels and their order are those of the iteration that was noted, and so are all bits of the result. What Python does
between kernels happens once, as in a CUDA graph.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, UntypedStorage, nn
from torch._C import DispatchKey, DispatchKeySet, _dispatch_has_kernel_for_dispatch_key, _ExcludeDispatchKeyGuard
from torch._ops import OpOverload
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from ganduel.graph import CannotBeRecorded, Recorder

aten = torch.ops.aten
# Kernels whose results Python reads, or sizes tensors by: another iteration may take another way after them.
READS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
EMPTY = {aten.empty.memory_format, aten.empty_like.default, aten.empty_strided.default, aten.new_empty_strided.default}
COPIES = {aten.clone.default, aten._to_copy.default}
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

        So with the gradients of parameters, which the next call overwrites.

        Raises:
            CannotBeRecorded: if another call might do something else; this one has been done nevertheless.
        """
        notes = Notes()
        with notes:
            results = list(function())
        if notes.obstacle is not None:
            raise CannotBeRecorded(notes.obstacle)
        owners = [x for x in notes.objects.values() if isinstance(x, nn.Parameter) and x.grad in notes]
        calls = notes.function(results, [owner.grad for owner in owners if owner.grad is not None])

        def launch() -> None:
            for owner in owners:
                owner.grad = None
            with _ExcludeDispatchKeyGuard(DONE):
                gradients = calls()
            for owner, gradient in zip(owners, gradients, strict=True):
                owner.grad = gradient

        return launch


@dataclass(eq=False)
class Block:
    """A piece of memory that a kernel has filled.

    Attributes:
        memory: the noted iteration's.
        size: in bytes.
        placed: whether it has a place, the same in each call.
    """

    memory: StorageWeakRef
    size: int
    placed: bool


class Notes(TorchDispatchMode):
    """The kernels that are called inside, as lines of Python; `in` it are the tensors that they have made.

    Attributes:
        obstacle: why another call might take another way, if it might.
        objects: what the names in the lines stand for, but those of tensors that kernels have made.
    """

    def __init__(self):
        super().__init__()
        self.obstacle: str | None = None
        self.objects: dict[str, Any] = {}
        self.lines: list[tuple[str, list[str]]] = []  # each with the names in it of what kernels have made
        self.views: list[str] = []  # the lines that make views of what has a place
        self.made = WeakTensorKeyDictionary()  # these names, as long as the tensors live
        self.blocks: dict[int, Block] = {}  # by address, as long as the memory lives
        self.block_of: dict[str, Block] = {}  # what is made lies in
        self.layouts: dict[str, tuple[Any, ...]] = {}  # of what has a place, but views
        self.names: dict[int, str] = {}  # of the objects

    def __contains__(self, tensor: Tensor | None) -> bool:
        return tensor is not None and tensor in self.made

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.obstacle is None and func.namespace != "profiler":
            self.note(func, args, kwargs or {}, result)
        return result

    def note(self, func: OpOverload, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        inputs, outputs = tensors((args, kwargs)), tensors(result)
        if READS & set(func.tags):
            self.obstacle = f"{func._schema.name} reads a value back"
        elif torch.Tag.inplace_view in func.tags:
            self.obstacle = f"{func._schema.name} changes a tensor's shape in place"
        elif func is aten.lift_fresh.default and not self.hides(inputs[0]):
            # A number of Python's, that may be written to.
            self.write(aten.clone.default, [inputs[0].clone()], {}, result)
        elif func is aten._foreach_add_.Scalar and all(x.dtype == torch.float32 for x in inputs):
            # Steps are counted: the number would become a tensor again for each of them.
            self.write(aten._foreach_add_.Tensor, [args[0], torch.tensor(args[1], dtype=torch.float32)], kwargs, result)
        elif any(x in self or self.hides(x) for x in inputs) or (not func.is_view and (inputs or outputs)):
            self.write(func, args, kwargs, result)  # else a view of what stays where it is, or nothing of a tensor's

    def write(self, func: OpOverload, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        """The line of a call."""
        used: list[str] = []
        words = [self.word(x, used) for x in args] + [f"{key}={self.word(x, used)}" for key, x in kwargs.items()]
        given = {id(tensor) for tensor in tensors((args, kwargs))}
        blocks = [self.block(x) for x in tensors(result) if id(x) not in given]
        if isinstance(result, Tensor) and blocks == [None] and (into := destination(func)) is not None:
            kernel, key = into
            target = self.new(result, used, placed=True)
            self.layouts[target] = (result.dtype, result.storage_offset(), result.size(), result.stride())
            if kernel is not None:
                words = [target, words[0]] if kernel is aten.copy_.default else [*words, f"{key}={target}"]
                self.lines.append((f"{self.name(kernel._op)}({', '.join(words)})", used))
            return
        line = f"{self.name(getattr(func, '_op', func))}({', '.join(words)})"
        several = isinstance(result, tuple | list)
        targets = [
            self.new(x, used, placed=False) if isinstance(x, Tensor) and id(x) not in given else "_"
            for x in (result if several else [result])
        ]
        if blocks:
            line = f"{', '.join(targets)}{',' if several else ''} = {line}"
        if blocks and all(block is not None and block.placed for block in blocks):
            self.views.append(line)
        else:
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
        if isinstance(x, Tensor) and self.hides(x):
            self.obstacle = "a kernel's memory is used past torch"
        return self.name(x)

    def block(self, tensor: Tensor) -> Block | None:
        """What it lies in, if a kernel has filled that."""
        block = self.blocks.get(tensor.untyped_storage().data_ptr())
        return block if block is not None and not block.memory.expired() else None

    def hides(self, tensor: Tensor) -> bool:
        """Whether it has memory that a kernel has filled, and is not known to have it."""
        return tensor not in self and self.block(tensor) is not None

    def name(self, x: Any) -> str:
        """That of an object."""
        if id(x) not in self.names:
            self.names[id(x)] = name = f"c{len(self.names)}"
            self.objects[name] = x
        return self.names[id(x)]

    def new(self, tensor: Tensor, used: list[str], placed: bool) -> str:
        """A name for what a kernel has made."""
        memory = tensor.untyped_storage()
        block = self.block(tensor) or Block(StorageWeakRef(memory), memory.nbytes(), placed)
        if address := memory.data_ptr():
            self.blocks[address] = block
        self.made[tensor] = name = f"t{len(self.block_of)}"
        self.block_of[name] = block
        used.append(name)
        return name

    def function(self, results: Sequence[Tensor], gradients: Sequence[Tensor]) -> Callable[[], list[Tensor]]:
        """What calls the kernels, leaves the results where they are now, and returns the gradients."""
        own = {self.block_of[self.made[x]]: x.untyped_storage() for x in (*results, *gradients) if x in self}
        copies = [(f"{self.name(x)}.copy_({self.made[x]})", [self.made[x]]) for x in results if x in self]
        lines = self.lines + [(line, used) for line, used in copies if not self.block_of[used[0]].placed]
        kept = [self.made[x] for x in gradients]
        last = {name: i for i, (_, used) in enumerate(lines) for name in used if not self.block_of[name].placed}
        ends = defaultdict[int, list[str]](list)
        for name in last.keys() - set(kept):
            ends[last[name]].append(name)
        body = [f"{line}; del {', '.join(ends[i])}" if i in ends else line for i, (line, _) in enumerate(lines)]
        names: dict[str, Any] = self.objects | self.placed([[self.block_of[name] for name in used] for _, used in lines], own)
        exec("\n".join(self.views), names)
        source = "\n    ".join(["def calls():", *body, f"return [{', '.join(kept)}]"])
        exec(compile(source, "kernels of an iteration", "exec"), names)
        return names["calls"]

    def placed(self, uses: Sequence[Sequence[Block]], own: dict[Block, UntypedStorage]) -> dict[str, Tensor]:
        """What has a place, but views, by name; it lies in memory of its own, or shares it with others of its size.

        Args:
            uses: what each line needs.
            own: the memory of what is needed after the last.
        """
        last = {block: i for i, blocks in enumerate(uses) for block in blocks}
        places, free = dict(own), defaultdict[int, list[UntypedStorage]](list)
        for i, blocks in enumerate(uses):
            for block in blocks:
                if block.placed and block not in places:
                    places[block] = free[block.size].pop() if free[block.size] else UntypedStorage(block.size)
            for block in set(blocks) - own.keys():
                if block.placed and last[block] == i:
                    free[block.size].append(places[block])
        found = {}
        for name, (dtype, *layout) in self.layouts.items():
            block = self.block_of[name]
            place = places[block] if block in places else UntypedStorage(block.size)
            found[name] = torch.empty(0, dtype=dtype).set_(place, *layout)
        return found


@cache
def destination(func: OpOverload) -> tuple[OpOverload | None, str] | None:
    """The form of a kernel that writes to a given tensor, and what it calls that; None, if its result is always new.

    A kernel that writes nothing has no form.
    """
    if func in EMPTY:
        return None, ""
    if func in COPIES:
        return aten.copy_.default, "self"
    if torch.Tag.nondeterministic_seeded in func.tags:
        return None
    packet = func.overloadpacket
    for form in (getattr(packet, name) for name in packet.overloads()):
        targets = [x.name for x in form._schema.arguments if x.alias_info is not None and x.alias_info.is_write]
        others = [x for x in form._schema.arguments if x.name not in targets]
        if (
            len(targets) == 1
            and [(x.name, x.type) for x in others] == [(x.name, x.type) for x in func._schema.arguments]
            and _dispatch_has_kernel_for_dispatch_key(form.name(), "CPU")
        ):
            return form, targets[0]
    return None


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
