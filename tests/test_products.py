"""Products are computed in the form that is the fastest, if no bit is another, where they are needed."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganduel import products
from ganduel.onednn import MKL, ONEDNN
from ganduel.places import Line
from ganduel.products import choose_library, compute, faster_by_onednn, left_over, random_like, shape_products, switched
from ganduel.replay import Notes

aten = torch.ops.aten


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("left", [0, 1, 2, 5])
def test_each_form_is_the_product(turned: bool, left: int):
    a, b = torch.randn(5, 3, 4, dtype=torch.float64), torch.randn(5, 4, 2, dtype=torch.float64)
    torch.testing.assert_close(compute(a, b, turned, left), a @ b)


@pytest.mark.parametrize(
    ("batch", "threads", "size", "expected"),
    [
        (5, 2, 128, 1),
        (4, 2, 128, 0),
        (7, 4, 128, 0),  # three of four threads have work: no worse than three products after one another
        (6, 4, 128, 2),
        (3, 16, 128, 3),
        (5, 1, 128, 0),
        (5, 2, 64, 0),  # threads would wait for each other longer than they compute
    ],
)
def test_products_left_over(batch: int, threads: int, size: int, expected: int):
    a = torch.empty(batch, size, size)
    assert left_over(a, a, threads) == expected


def test_a_form_with_other_bits_is_not_taken(monkeypatch: pytest.MonkeyPatch):
    a, b = torch.randn(3, 16, 16), torch.randn(3, 16, 16)
    monkeypatch.setattr(products, "compute", lambda a, b, turned, left: (a @ b).nextafter(torch.tensor(9.0)))
    line = Line(aten.bmm.default, "bmm", ["a", "b"], ["t0"], "t0", "out")
    shape_products(line, a, b)
    assert set(line.forms) == {(False, 0)}


@pytest.mark.parametrize(
    ("a", "b", "before", "after"),
    [
        ((64, 100), (100, 128), ONEDNN, MKL),  # small
        ((640, 128), (128, 512), ONEDNN, ONEDNN),
        ((640, 128), (128, 512), MKL, ONEDNN),
        ((64, 5000), (5000, 64), MKL, ONEDNN),
        ((64, 8000), (8000, 1), ONEDNN, MKL),  # a column
        ((5, 128, 128), (5, 128, 128), MKL, ONEDNN),
        ((5, 128, 64), (5, 64, 64), MKL, MKL),
        ((5, 128, 128), (5, 128, 2), ONEDNN, MKL),
        ((640, 128), (128, 512), None, None),
    ],
)
def test_which_library(monkeypatch: pytest.MonkeyPatch, a: tuple, b: tuple, before: str | None, after: str | None):
    kernel, factors = aten.mm.default if len(a) == 2 else aten.bmm.default, (torch.ones(a), torch.ones(b))
    line = Line(kernel, "", ["a", "b"], ["t0"], library=before)
    for same in (False, True):
        monkeypatch.setattr(torch, "equal", lambda *_, same=same: same)
        choose_library(line, *factors)
        assert line.library == (after if same else before)


def test_a_large_matrix_times_a_column_is_no_work_for_onednn():
    matrix, column = torch.empty(5000, 5000, device="meta"), torch.empty(5000, 1, device="meta")
    assert not faster_by_onednn(matrix, column)
    assert faster_by_onednn(matrix, matrix)


def test_noted_products_are_given_their_library(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "equal", lambda *_: True)
    a, b, notes = torch.randn(640, 128), torch.randn(128, 512), Notes()
    with notes:
        torch.mm(a, b)
        torch.addmm(b[0], a, b)
        torch.mm(a[:8], b)
        torch.bmm(a.view(5, 128, 128), a.view(5, 128, 128))
    assert [line.library for line in notes.lines] == [ONEDNN, ONEDNN, MKL, ONEDNN]


def test_only_products_of_float32_have_a_choice():
    line = Line(aten.mm.default, "mm", ["a", "b"], ["t0"], library=MKL)
    choose_library(line, torch.ones(640, 128).double(), torch.ones(128, 512).double())
    assert line.library == MKL


def test_the_library_is_chosen_between_lines_and_put_back():
    lines = [Line(aten.mm.default, "mm", [], [], library=name) for name in (ONEDNN, None, ONEDNN, MKL, ONEDNN)]
    calls = [line.words[0] if line.call == "choose" else "mm" for line in switched(lines)]
    medium, highest = repr(ONEDNN), repr(MKL)
    assert calls == [medium, "mm", "mm", "mm", highest, "mm", medium, "mm", highest]
    assert switched(lines[1:2]) == lines[1:2]


@pytest.mark.parametrize(
    "x", [torch.ones(3, 4).t(), torch.ones(2, 1, 4).expand(2, 3, 4), torch.ones(2, 2, dtype=torch.bfloat16)]
)
def test_random_numbers_lie_as_others_do(x: Tensor):
    like = random_like(x)
    assert (like.dtype, like.shape, like.stride()) == (x.dtype, x.shape, x.stride())
    assert like.std() > 0.3
    assert torch.equal(like, random_like(x))


def spelled(function: Callable[[Tensor, Tensor], list[Tensor]], a: Tensor, b: Tensor) -> tuple[list[str], list[str]]:
    """The lines that a function of two tensors becomes, without its names: what is called, and where to."""
    notes = Notes()
    with notes:
        results = function(a, b)
    lines: list[Line] = []
    faster = products.faster

    def kept(*args) -> list[Line]:
        lines.extend(faster(*args))
        return lines

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganduel.replay.faster", kept)
        launch = notes.function(results, [])
    a.normal_()
    launch()
    for one, other in zip(results, function(a, b), strict=True):
        assert torch.equal(one, other)
    return [line.kernel.__name__ for line in lines], [line.part for line in lines]


def turned(a: Tensor, b: Tensor) -> Tensor:
    return torch.bmm(a.mT, b).mT.contiguous()


@pytest.mark.parametrize(
    ("function", "kernels"),
    [
        (lambda a, b: [turned(a, b)], ["bmm.default"]),
        (lambda a, b: [turned(a, b) + 1, turned(b, a)], ["bmm.default", "add.Tensor", "bmm.default"]),
        (lambda a, b: [torch.bmm(a, b)], ["bmm.default"]),
        # needed for more than the copy, as a result or in another kernel
        (lambda a, b: [c := torch.bmm(a, b), c.mT.contiguous()], ["bmm.default", "copy_.default"]),
        (lambda a, b: [(c := torch.bmm(a, b)).mT.contiguous(), c + 1], ["bmm.default", "copy_.default", "add.Tensor"]),
        # of a part, in another order, into another dtype, with few columns
        (lambda a, b: [torch.bmm(a, b)[:2].mT.contiguous()], ["bmm.default", "copy_.default"]),
        (lambda a, b: [torch.bmm(a, b).mT.double()], ["bmm.default", "copy_.default"]),
        (lambda a, b: [torch.bmm(a[:, :4], b).mT.contiguous()], ["bmm.default", "copy_.default"]),
        # what it is copied to has been written to before
        (
            lambda a, b: [torch.empty_like(a).zero_().copy_(torch.bmm(a, b).mT)],
            ["zero_.default", "bmm.default", "copy_.default"],
        ),
    ],
)
def test_a_transposed_copy_is_computed_as_such(function: Callable, kernels: list[str]):
    assert spelled(function, torch.randn(3, 16, 16), torch.randn(3, 16, 16))[0] == kernels


BIAS = torch.randn(3, 1, 16)
EXACT = BIAS.double()


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (lambda a, b: [torch.bmm(a, b).add_(BIAS)], 1),
        (lambda a, b: [torch.bmm(a, b).add_(BIAS, alpha=2)], 2),
        (lambda a, b: [torch.bmm(a, b).add_(1.5)], 2),
        (lambda a, b: [torch.bmm(a, b).add_(EXACT)], 2),
        (lambda a, b: [torch.bmm(a, b).add_(a * 2)], 3),  # what a kernel makes
        (lambda a, b: [torch.bmm(a, b).mul_(2).add_(BIAS)], 3),  # not the first thing
        (lambda a, b: [torch.bmm(a, b)[:, :, :8].add_(BIAS[:, :, :8])], 2),  # not all of it
        (lambda a, b: [torch.bmm(x := a * 2, b).add_(BIAS), x], 2),
        (lambda a, b: [torch.bmm(a * 2, b).add_(BIAS)], 2),
    ],
)
def test_what_is_added_to_products_next_is_added_with_them(function: Callable, calls: int):
    kernels, _ = spelled(function, *torch.randn(2, 3, 16, 16))
    assert len(kernels) == calls


def test_a_sum_with_other_bits_is_not_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "baddbmm", lambda bias, a, b: (a @ b + bias).nextafter(torch.tensor(9.0)))
    kernels, _ = spelled(lambda a, b: [torch.bmm(a, b).add_(BIAS)], *torch.randn(2, 3, 16, 16))
    assert kernels == ["bmm.default", "add_.Tensor"]


def test_what_is_left_over_is_computed_by_all_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(products, "LARGE", 0)
    monkeypatch.setattr(products, "faster_by_onednn", lambda a, b: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    _, parts = spelled(lambda a, b: [torch.bmm(a, b)], torch.randn(6, 16, 16), torch.randn(6, 16, 16))
    assert parts == ["[:-2]", "[-2]", "[-1]"]
    _, parts = spelled(lambda a, b: [turned(a, b)], torch.randn(5, 16, 16), torch.randn(5, 16, 16))
    assert parts == ["[:-1]", "[-1]"]


def test_a_transposed_matrix_times_a_column():
    _, parts = spelled(lambda a, b: [torch.bmm(a.mT, b[:, :, :1].contiguous())], *torch.randn(2, 3, 16, 16))
    assert parts[-1] == ".mT"
    _, parts = spelled(lambda a, b: [torch.bmm(a, b[:, :, :1].contiguous())], *torch.randn(2, 3, 16, 16))
    assert parts[-1] == ""
