"""Results have places that no two of them need at once, and those that are kept have their own."""

import pytest
import torch

from ganduel.places import COPIES, EMPTY, Block, Line, destination, places

aten = torch.ops.aten
F32 = (torch.float32, 0, torch.Size([2, 3]), (3, 1))
TURNED = (torch.float32, 0, torch.Size([2, 3]), (1, 2))


def block(name: str, layout: tuple | None = F32) -> Block:
    return Block(name, 24, layout)


def chain(kernel, *layouts: tuple | None, kept: int = 0) -> list[int]:
    """Which places a chain of results has, each made from the one before; the last `kept` have memory of their own."""
    blocks = {f"t{i}": block(f"t{i}", layout) for i, layout in enumerate(layouts)}
    lines = [
        Line(kernel, "f", [], [name for name in (f"t{i - 1}", f"t{i}") if name in blocks]) for i in range(len(blocks))
    ]
    own = {blocks[f"t{i}"]: torch.UntypedStorage(24) for i in range(len(blocks) - kept, len(blocks))}
    found = places(lines, blocks, own)
    addresses = [found[name].data_ptr() if name in found else 0 for name in blocks]
    return [addresses.index(address) for address in addresses]


@pytest.mark.parametrize(
    ("kernel", "layouts", "kept", "expected"),
    [
        (aten.mm.default, [F32] * 5, 0, [0, 1, 0, 1, 0]),  # a product cannot be written over its factors
        (aten.tanh.default, [F32] * 5, 0, [0, 0, 0, 0, 0]),
        (aten.leaky_relu_backward.default, [F32] * 3, 0, [0, 0, 0]),
        (aten.tanh.default, [F32, TURNED, F32], 0, [0, 1, 0]),  # element by element, but not the same elements
        (aten.tanh.default, [F32] * 4, 2, [0, 0, 2, 3]),
        (aten.tanh.default, [F32, None, F32, F32], 0, [0, 1, 0, 0]),  # what is made anew has none
    ],
)
def test_which_results_share_a_place(kernel, layouts: list, kept: int, expected: list[int]):
    assert chain(kernel, *layouts, kept=kept) == expected


def test_a_place_is_as_the_result_was():
    layout = (torch.float64, 1, torch.Size([2, 2]), (1, 2))
    (found,) = places([], {"t0": Block("t0", 40, layout)}, {}).values()
    assert (found.dtype, found.storage_offset(), found.size(), found.stride()) == layout


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (aten.mm.default, (aten.mm.out, "out")),
        (aten.sum.dim_IntList, (aten.sum.IntList_out, "out")),
        (aten.leaky_relu_backward.default, (aten.leaky_relu_backward.grad_input, "grad_input")),
        *((kernel, (aten.copy_.default, "self")) for kernel in COPIES),
        *((kernel, (None, "")) for kernel in EMPTY),
        (aten.rand.default, None),  # a second one might draw in another order
        (aten.bernoulli.default, None),
        (aten.convolution.default, None),  # its form makes a new result, and copies it
        (aten.linalg_qr.default, None),  # several results
        (aten.add_.Tensor, None),
    ],
    ids=str,
)
def test_forms_that_write_to_a_given_tensor(kernel, expected):
    assert destination(kernel) == expected
