"""Batches of products among noted kernels, in forms that are faster on a CPU and give the same bits.

    turned     (bᵀaᵀ)ᵀ: where only a transposed copy of a product is needed, as with gradients of stacked weights, that
               is what is computed, in the place of the copy; and where a transposed matrix is multiplied by one
               column, which takes six times as long as the row times the matrix
    divided    each thread takes whole products: of 5 on two threads it is 2 and 3. If they are large, those that are
               left over when all threads have had as many are computed one after another by all threads
    biased     what is added to products next is added with them

In which order a product's terms are added may depend on its form, and on the library, but not on the numbers. So forms
are tried on those of the noted iteration, and taken if no bit is another.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ganduel.places import Block, Line

aten = torch.ops.aten
NARROW = 16  # columns; a product that has fewer takes two to seven times as long as its transpose
LARGE = 4e6  # floating-point operations, two for each term; on two threads that is where it begins to pay


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


def shape_products(line: Line, a: Tensor, b: Tensor, product: Tensor) -> None:
    """Give the line of the products ab the forms that give the same bits; turn the column of a transposed matrix."""
    forms = {(turned, left) for turned in (False, True) for left in (0, left_over(a, b, torch.get_num_threads()))}
    line.forms = {form for form in forms if form == (False, 0) or torch.equal(compute(a, b, *form), product)}
    if b.shape[2] == 1 and a.stride(2) != 1 and (True, 0) in line.forms:
        line.words, line.part, line.forms = [f"{word}.mT" for word in reversed(line.words)], ".mT", ()


def can_be_biased(a: Tensor, b: Tensor, bias: Tensor, total: Tensor) -> bool:
    """Whether adding the bias with the products ab gives this total, too."""
    return bias.dtype == total.dtype and torch.equal(torch.baddbmm(bias, a, b), total)


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
