"""The updates of an iteration as a list of kernels: noted once, then called one after another without autograd.

A small GAN's iteration on a CPU is a few hundred kernels of a few microseconds each, and what torch does around them
takes as long: modules, the graph that autograd builds and walks, the optimizers' Python. None of it changes from one
iteration to the next. So one is done as usual while a `TorchDispatchMode` notes each kernel with its arguments, those
of backward passes and optimizers included, and a function is written that calls these and nothing else:

    mm(t11, c5, out=t12)
    leaky_relu_backward(t12, t8, 0.2, False, grad_input=t13)
    t14 = convolution(t13, c6, ...)
    add_(t14, c7); del t14

What a kernel makes (t) has its place in memory, the same in each call, where the kernel has a form that writes to one
(places.py); otherwise it is made anew, and freed after its last use. The rest (c) is the run's, a weight or a moment,
and is used in place. What follows from shapes alone, such as ones, is made once. Kernels and their order are those of
the iteration that was noted, but for products in a faster form (products.py), and so are all bits of the result. What
Python does between kernels happens once, as in a CUDA graph.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import DispatchKey, DispatchKeySet, _ExcludeDispatchKeyGuard
from torch._ops import OpOverload
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from ganduel.engine.recorder import CannotBeRecorded, Recorder
from ganduel.onednn import chosen
from ganduel.places import COPIES, Block, Line, destination, places
from ganduel.products import can_be_biased, choose_library, faster, shape_products, switched

aten = torch.ops.aten
# Kernels whose results Python reads, or sizes tensors by: another iteration may take another way after them.
READS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
# Kernels whose results follow from shapes and from numbers of Python's.
FILLED = {
    *(aten.ones_like.default, aten.zeros_like.default, aten.full_like.default),
    *(aten.new_ones.default, aten.new_zeros.default, aten.new_full.default),
    *(aten.ones.default, aten.zeros.default, aten.full.default, aten.scalar_tensor.default),
}
# Arguments that a kernel writes to without a word of it in its schema: running statistics.
UNSAID = {aten.native_batch_norm.default: (3, 4)}
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

        library = chosen()

        def launch() -> None:
            for owner in owners:
                owner.grad = None
            try:
                with _ExcludeDispatchKeyGuard(DONE):
                    gradients = calls()
            except BaseException:
                if library is not None:
                    torch.set_float32_matmul_precision(library)  # it may have been changed for a product
                raise
            for owner, gradient in zip(owners, gradients, strict=True):
                owner.grad = gradient

        return launch


class Name(str):
    """Of what a kernel has made, in the place of the tensor."""


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
        self.names: dict[int, str] = {}  # of the objects
        self.lines: list[Line] = []
        self.constants: dict[str, tuple[Tensor, list[str]]] = {}  # and what they follow from, unless that is written to
        self.views: list[Line] = []  # of what has a place
        self.made = WeakTensorKeyDictionary()  # the names of what kernels have made, as long as it lives
        self.blocks: dict[str, Block] = {}  # what it lies in
        self.memory: dict[int, tuple[Block, StorageWeakRef]] = {}  # by address, as long as it lives
        self.transposes: dict[str, Block] = {}  # of whole blocks
        self.writes = Counter[Block]()  # how often a kernel has written to what another had filled
        self.factors: tuple[Tensor, Tensor] | None = None  # of the last products, until the next kernel
        self.rectified: dict[str, tuple[str, int]] = {}  # what leaky ReLU was given, what it made, and writes to that

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
        elif func is aten.leaky_relu_backward.default:
            # Only the sign matters, and the other one has it too: fewer tensors are needed.
            self.write(func, [args[0], self.of_one_sign(args[1]), *args[2:]], kwargs, result)
        elif any(x in self or self.hides(x) for x in inputs) or (not func.is_view and (inputs or outputs)):
            self.write(func, args, kwargs, result)  # else a view of what stays where it is, or nothing of a tensor's

    def write(self, func: OpOverload, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        """The line of a call."""
        used: list[str] = []
        library = chosen()
        words = [self.word(x, used) for x in args] + [f"{key}={self.word(x, used)}" for key, x in kwargs.items()]
        given = {id(tensor) for tensor in tensors((args, kwargs))}
        new = [x for x in tensors(result) if id(x) not in given]
        blocks = [self.block(x) for x in new]
        self.writes.update(filter(None, map(self.block, written(func, args, kwargs))))
        if isinstance(result, Tensor) and blocks == [None] and (into := destination(func)) is not None:
            form, key = into
            target = self.new(result, used, placed=True)
            if form is not None:
                self.note_constant(target, func, args, kwargs, result)
                line = Line(func, self.name(form._op), words, used, target, key, library=library)
                if func in COPIES:
                    line.kernel, line.words, line.key = form, [target, words[0]], ""
                self.factors = (args[0], args[1]) if func is aten.bmm.default else None
                if self.factors is not None:
                    shape_products(line, *self.factors)
                elif func in (aten.mm.default, aten.addmm.default):
                    choose_library(line, *args)
                self.lines.append(line)
            if func is aten.leaky_relu.default and len(used) == 2 and (len(args) == 1 or args[1] > 0):
                self.rectified[used[0]] = target, self.written_to(*used)
            return
        if func is aten.add_.Tensor and words[0] in used and not kwargs:
            self.note_bias(args[0], args[1], words[1])
        line = Line(func, self.name(getattr(func, "_op", func)), words, used, library=library)
        if new:
            several = isinstance(result, tuple | list)
            names = [
                self.new(x, used, placed=False) if isinstance(x, Tensor) and id(x) not in given else "_"
                for x in (result if several else [result])
            ]
            line.made = f"{', '.join(names)}{',' if several else ''}"
            if not several:
                self.note_constant(line.made, func, args, kwargs, result)
        if new and all(block is not None and block.layout is not None for block in blocks):
            self.views.append(line)
        else:
            self.lines.append(line)
            self.factors = None

    def note_constant(self, name: str, func: OpOverload, args: Any, kwargs: dict[str, Any], result: Tensor) -> None:
        """Keep what a call has made if it follows from shapes, or from what does so."""
        inputs = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor | Name)]
        sources = [x if isinstance(x, Name) else self.made[x] if x in self else "" for x in inputs]
        if func in FILLED:
            sources = []
        elif not sources or not is_function(func, args, kwargs):
            return
        if all(x in self.constants for x in sources):
            self.constants[name] = result, sources

    def fixed(self, needed: Collection[Block]) -> dict[str, Tensor]:
        """What is the same in each call, by name; not what is needed after the last line."""
        found: dict[str, Tensor] = {}
        for name, (tensor, sources) in self.constants.items():
            block = self.blocks[name]
            if block not in needed and not self.writes[block] and all(source in found for source in sources):
                found[name] = tensor
        return found

    def note_bias(self, total: Tensor, bias: Any, word: str) -> None:
        """Whether what has been added, which no kernel makes, can be added with the products of the line before."""
        if self.factors is None or not isinstance(bias, Tensor) or bias in self:
            return
        block, line = self.block(total), self.lines[-1]
        all_of_it = block is not None and line.place == block.name and block.layout == layout_of(total)
        if all_of_it and line.forms and can_be_biased(line, *self.factors, bias):
            line.bias = word

    def word(self, x: Any, used: list[str]) -> str:
        """An argument as it is written."""
        if isinstance(x, tuple | list):
            return f"[{', '.join(self.word(y, used) for y in x)}]"
        if isinstance(x, Name) or (isinstance(x, Tensor) and x in self):
            used.append(x if isinstance(x, Name) else self.made[x])
            return used[-1]
        if x is None or isinstance(x, bool | int | str):
            return repr(x)
        if isinstance(x, Tensor) and self.hides(x):
            self.obstacle = "a kernel's memory is used past torch"
        return self.name(x)

    def block(self, tensor: Tensor) -> Block | None:
        """What it lies in, if a kernel has filled that."""
        block, memory = self.memory.get(tensor.untyped_storage().data_ptr(), (None, None))
        return block if memory is not None and not memory.expired() else None

    def hides(self, tensor: Tensor) -> bool:
        """Whether it has memory that a kernel has filled, and is not known to have it."""
        return tensor not in self and self.block(tensor) is not None

    def of_one_sign(self, tensor: Tensor) -> Tensor | Name:
        """What leaky ReLU has made of it, if that is still so."""
        name = self.made[tensor] if tensor in self else ""
        other, writes = self.rectified.get(name, ("", 0))
        return Name(other) if other and self.written_to(name, other) == writes else tensor

    def written_to(self, *names: str) -> int:
        """How often it has been written to since it was made."""
        return sum(self.writes[self.blocks[name]] for name in names)

    def name(self, x: Any) -> str:
        """That of an object."""
        if id(x) not in self.names:
            self.names[id(x)] = name = f"c{len(self.names)}"
            self.objects[name] = x
        return self.names[id(x)]

    def new(self, tensor: Tensor, used: list[str], placed: bool) -> str:
        """A name for what a kernel has made."""
        self.made[tensor] = name = f"t{len(self.blocks)}"
        used.append(name)
        memory, layout = tensor.untyped_storage(), layout_of(tensor)
        block = self.block(tensor) or Block(name, memory.nbytes(), layout if placed else None)
        if address := memory.data_ptr():
            self.memory[address] = block, StorageWeakRef(memory)
        if block.layout is not None and tensor.ndim >= 2 and layout_of(tensor.mT) == block.layout:
            self.transposes[name] = block
        self.blocks[name] = block
        return name

    def function(self, results: Sequence[Tensor], gradients: Sequence[Tensor]) -> Callable[[], list[Tensor]]:
        """What calls the kernels, leaves the results where they are now, and returns the gradients."""
        own = {self.blocks[self.made[x]]: x.untyped_storage() for x in (*results, *gradients) if x in self}
        kept = [self.made[x] for x in gradients]
        fixed = self.fixed(own)
        lines = [line for line in self.lines if line.made not in fixed and line.place not in fixed]
        for line in lines:
            line.used = [name for name in line.used if name not in fixed]
        lines = switched(faster(lines, self.blocks, self.transposes, own))
        for x in results:
            if x in self and self.blocks[name := self.made[x]].layout is None:
                lines.append(Line(aten.copy_.default, f"{self.name(x)}.copy_", [name], [name]))
        last = {name: i for i, line in enumerate(lines) for name in line.used if self.blocks[name].layout is None}
        ends = defaultdict[int, list[str]](list)
        for name in last.keys() - set(kept):
            ends[last[name]].append(name)
        body = [f"{line}; del {', '.join(ends[i])}" if i in ends else str(line) for i, line in enumerate(lines)]
        forms = {name: getattr(aten, name).out._op for name in ("mm", "baddbmm")}
        names: dict[str, Any] = self.objects | forms | places(lines, self.blocks, own) | fixed
        names["choose"] = torch.set_float32_matmul_precision
        exec("\n".join(map(str, self.views)), names)
        source = "\n    ".join(["def calls():", *body, f"return [{', '.join(kept)}]"])
        exec(compile(source, "kernels of an iteration", "exec"), names)
        return names["calls"]


def written(func: OpOverload, args: Any, kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that a call writes to."""
    schema = func._schema.arguments
    pairs = [*zip(schema, args, strict=False), *((x, kwargs[x.name]) for x in schema if x.name in kwargs)]
    said = [value for argument, value in pairs if argument.alias_info is not None and argument.alias_info.is_write]
    return tensors([said, [args[i] for i in UNSAID.get(func, ())]])


def is_function(func: OpOverload, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a call draws nothing and writes to nothing."""
    return torch.Tag.nondeterministic_seeded not in func.tags and not written(func, args, kwargs)


def layout_of(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.dtype, tensor.storage_offset(), tensor.size(), tensor.stride()


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
