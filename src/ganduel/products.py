"""Products among noted kernels, in forms that are faster on a CPU and give the same bits.

Of batches of products, which populations consist of:

    turned     (bᵀaᵀ)ᵀ: where only a transposed copy of a product is needed, as with gradients of stacked weights, that
               is what is computed, in the place of the copy; and where a transposed matrix is multiplied by one
               column, which takes six times as long as the row times the matrix
    divided    each thread takes whole products: of 5 on two threads it is 2 and 3. If they are large, those that are
               left over when all threads have had as many are computed one after another by all threads
    biased     what is added to products next is added with them

And of all in float32, which of two libraries computes them (onednn.py).

In which order a product's terms are added depends on its form and on the library, but not on the numbers. So forms are
tried on random ones that lie in memory as those of the noted iteration do, and taken if no bit is another.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ganduel import onednn
from ganduel.onednn import MKL, ONEDNN, products_by
from ganduel.places import Block, Line

aten = torch.ops.aten
NARROW = 16  # columns; a product that has fewer takes two to seven times as long as its transpose
LARGE = 4e6  # floating-point operations of one of a batch, two for each term, from which on two threads
# oneDNN is faster, or all threads for one that is left over


def compute(a: Tensor, b: Tensor, turned: bool, left: int) -> Tensor:
    """The products ab in a form."""
    if turned:
        return compute(b.mT, a.mT, False, left).mT
    whole = len(a) - left
    rest = [(x @ y)[None] for x, y in zip(a[whole:], b[whole:], strict=True)]
    return torch.cat([torch.bmm(a[:whole], b[:whole]), *rest])


def left_over(a: Tensor, b: Tensor, threads: int) -> int:
    """How many of the products ab are better computed by all threads."""
    left = len(a) % threads
    return left if 2 * a[0].numel() * b.shape[2] >= LARGE and 2 * left <= threads else 0


def random_like(x: Tensor) -> Tensor:
    """Numbers in memory as the tensor's are."""
    sizes = [1 if stride == 0 else size for size, stride in zip(x.shape, x.stride(), strict=True)]
    numbers = torch.randn(sizes, generator=torch.Generator().manual_seed(x.numel()))
    return torch.empty_strided(sizes, x.stride(), dtype=x.dtype).copy_(numbers).expand(x.shape)


def choose_library(line: Line, *args: Tensor) -> None:
    """Let the faster library compute the line's products, of its last two arguments, if it gives the same bits."""
    wanted = ONEDNN if faster_by_onednn(*args[-2:]) else MKL
    if line.library in (wanted, None) or any(x.dtype != torch.float32 for x in args):
        return
    numbers = [random_like(x) for x in args]
    with products_by(wanted):
        product = line.kernel(*numbers)
    if torch.equal(product, line.kernel(*numbers)):
        line.library = wanted


def faster_by_onednn(a: Tensor, b: Tensor) -> bool:
    """Whether it takes less time for products ab of their shapes than MKL, as measured on one and two threads."""
    sizes = (*a.shape[-2:], b.shape[-1])
    terms = 2 * math.prod(sizes)
    return terms >= (onednn.LARGE if a.ndim == 2 else LARGE) and min(sizes) >= NARROW


def shape_products(line: Line, a: Tensor, b: Tensor) -> None:
    """Give the line of products ab its library and the forms that give the same bits.

    Turn the column of a transposed matrix.
    """
    choose_library(line, a, b)
    a, b = random_like(a), random_like(b)
    lefts = {0} if line.library == ONEDNN else {0, left_over(a, b, torch.get_num_threads())}
    with products_by(line.library):
        product = torch.bmm(a, b)
        line.forms = {
            (turned, left)
            for turned in (False, True)
            for left in lefts
            if (turned, left) == (False, 0) or torch.equal(compute(a, b, turned, left), product)
        }
    if b.shape[2] == 1 and a.stride(2) != 1 and (True, 0) in line.forms:
        line.words, line.part, line.forms = [f"{word}.mT" for word in reversed(line.words)], ".mT", ()


def can_be_biased(line: Line, a: Tensor, b: Tensor, bias: Tensor) -> bool:
    """Whether adding the bias with the line's products ab gives the same sum."""
    if bias.dtype != a.dtype:
        return False
    a, b, bias = random_like(a), random_like(b), random_like(bias)
    with products_by(line.library):
        return torch.equal(torch.baddbmm(bias, a, b), torch.bmm(a, b).add_(bias))


def faster(
    lines: Sequence[Line], blocks: Mapping[str, Block], transposes: Mapping[str, Block], kept: Collection[Block]
) -> list[Line]:
    """The lines, with products in their fastest form.

    Args:
        lines: in order.
        blocks: what each name lies in.
        transposes: what is the transpose of a whole block, and the block.
        kept: the blocks that are needed after the last line.
    """
    uses = defaultdict[Block, list[int]](list)
    for i, line in enumerate(lines):
        for block in {blocks[name] for name in line.used}:
            uses[block].append(i)
    found = [[line] for line in lines]
    for i, line in enumerate(lines):
        if not line.forms:
            continue
        turned, place, block = False, line.place, blocks[line.place]
        others = [lines[j] for j in uses[block] if j != i]
        if len(others) == 1 and block not in kept and any(form for form, _ in line.forms):
            target = turned_into(others[0], block, blocks, transposes)
            if target is not None and lines[uses[target][0]] is others[0]:
                turned, place, found[uses[target][0]] = True, target.name, []
        left = max(left for form, left in line.forms if form == turned)
        if line.bias and left == 0 and not turned:
            found[i] = [replace(line, call="baddbmm", words=[line.bias, *line.words])]
            found[uses[block][1]] = []
        else:
            found[i] = spelled(line, turned, left, place)
    return [line for group in found for line in group]


def switched(lines: Sequence[Line]) -> list[Line]:
    """The lines, and between them those that choose the library of products; at the end it is that of the beginning."""
    start = library = onednn.chosen()
    found: list[Line] = []
    for line in [*lines, None]:
        wanted = start if line is None else line.library or library
        if wanted != library:
            found.append(Line(torch.set_float32_matmul_precision, "choose", [repr(wanted)], []))
            library = wanted
        if line is not None:
            found.append(line)
    return found


def turned_into(
    line: Line, source: Block, blocks: Mapping[str, Block], transposes: Mapping[str, Block]
) -> Block | None:
    """The block that a line fills with a product's transpose, if that can be computed there, and as fast."""
    if line.kernel is not aten.copy_.default or transposes.get(line.words[1]) is not source:
        return None
    target = blocks.get(line.words[0])
    if target is None or target.layout is None or source.layout is None or line.words[0] != target.name:
        return None
    dtype, _, size, stride = target.layout
    rows, columns = size[-2:]
    plain = dtype == source.layout[0] and torch.empty(size, device="meta").stride() == stride
    return target if plain and (columns >= NARROW or rows < NARROW) else None


def spelled(line: Line, turned: bool, left: int, place: str) -> list[Line]:
    """The lines of a form."""
    a, b = line.words
    if turned:
        a, b = f"{b}.mT", f"{a}.mT"
    line = replace(line, words=[a, b], place=place, used=[*line.used[:-1], place])
    if left == 0:
        return [line]
    parts = [f"[:-{left}]", *(f"[-{i}]" for i in range(left, 0, -1))]
    return [
        replace(line, call="mm" if n else line.call, words=[f"{a}{part}", f"{b}{part}"], part=part)
        for n, part in enumerate(parts)
    ]
