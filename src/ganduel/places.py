"""Where in memory the results of noted kernels lie: in places that are the same in each call.

    t12 = mm(t11, c5)                          mm(t11, c5, out=t12)
    t13 = leaky_relu_backward(t12, t8, 0.2)    leaky_relu_backward(t12, t8, 0.2, grad_input=t13)

Where a kernel has a form that writes to a given tensor, its result gets a place; t12 and t13 get the same, as a kernel
that goes element by element may write where it reads what nothing else needs. Other results share places if they are
of one size and no two of them are needed at once. So nothing is allocated in a call, views are made once, and memory is
in the cache of the core that wrote to it last.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, UntypedStorage
from torch._C import _dispatch_has_kernel_for_dispatch_key
from torch._ops import OpOverload

aten = torch.ops.aten
EMPTY = {aten.empty.memory_format, aten.empty_like.default, aten.empty_strided.default, aten.new_empty_strided.default}
COPIES = {aten.clone.default, aten._to_copy.default}


@dataclass(eq=False)
class Block:
    """A piece of memory that a kernel has filled.

    Attributes:
        name: of the tensor that it was filled as.
        size: in bytes.
        layout: that tensor's dtype, offset, size and stride, if it has a place.
    """

    name: str
    size: int
    layout: tuple[Any, ...] | None


@dataclass
class Line:
    """The call of a kernel.

    Attributes:
        kernel: what was noted; a copy for all that copies.
        call: the name of what is called, which may be its form that writes to a given tensor.
        words: its arguments.
        used: the names in it of what kernels have made.
        place: that of the block that it fills, if it does; the last of those used.
        key: the argument that is this.
        part: the part that it fills.
        made: the names of what it makes anew.
        forms: if it is a batch of products, those that it can have (products.py).
        bias: what the next line adds to them, if it can be added with them.
        library: what computes products in it (onednn.py); None: what does so in the line before.
    """

    kernel: Callable[..., Any]
    call: str
    words: list[str]
    used: list[str]
    place: str = ""
    key: str = ""
    part: str = ""
    made: str = ""
    forms: Collection[tuple[bool, int]] = ()
    bias: str = ""
    library: str | None = None

    def __str__(self) -> str:
        made = f"{self.made} = " if self.made else ""
        into = [f"{self.key}={self.place}{self.part}"] if self.key else []
        return f"{made}{self.call}({', '.join([*self.words, *into])})"


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


def places(
    lines: Sequence[Line], blocks: Mapping[str, Block], own: Mapping[Block, UntypedStorage]
) -> dict[str, Tensor]:
    """The tensors that blocks with a place are filled as, by their names.

    Args:
        lines: in order.
        blocks: what each name lies in.
        own: the memory of what is needed after the last line.
    """
    last = {blocks[name]: i for i, line in enumerate(lines) for name in line.used}
    found, free = dict(own), defaultdict[int, list[UntypedStorage]](list)
    for i, line in enumerate(lines):
        mine = [block for block in dict.fromkeys(blocks[name] for name in line.used) if block.layout is not None]
        ending = [block for block in mine if last[block] == i and block not in own]
        for block in [block for block in mine if block not in found]:
            if (old := overwritten(line, block, [b for b in ending if b in found], blocks)) is not None:
                found[block] = found[old]
                ending.remove(old)
            else:
                found[block] = free[block.size].pop() if free[block.size] else UntypedStorage(block.size)
        for block in ending:
            free[block.size].append(found[block])
    tensors = {}
    for block in blocks.values():
        if block.layout is not None and block.name not in tensors:
            dtype, *layout = block.layout
            place = found[block] if block in found else next(iter(free[block.size]), UntypedStorage(block.size))
            tensors[block.name] = torch.empty(0, dtype=dtype).set_(place, *layout)
    return tensors


def overwritten(line: Line, block: Block, ending: Sequence[Block], blocks: Mapping[str, Block]) -> Block | None:
    """That of the blocks needed for the last time which the line may fill the new one over, if there is one."""
    if not goes_by_element(line.kernel):
        return None
    return next(
        (
            old
            for old in ending
            if old.layout == block.layout and all(name == old.name for name in line.used if blocks[name] is old)
        ),
        None,
    )


def goes_by_element(kernel: Any) -> bool:
    return isinstance(kernel, OpOverload) and (
        torch.Tag.pointwise in kernel.tags or kernel is aten.leaky_relu_backward.default
    )
