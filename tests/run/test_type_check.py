"""Values of a config against annotations, and annotations in words."""

from collections.abc import Sequence
from typing import Literal

import pytest
from torch import Tensor

from ganduel.run.type_check import describe, fits, parameter_types


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (int, [0, -3], [1.0, True, "1", None, [1]]),
        (float, [0.5, 3], [True, "0.5", None]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "a"], [1, None, ["a"]]),
        (float | None, [None, 1, 2.5], ["x", False]),
        (float | Tensor, [0.5, 3, {"_target_": "torch.tensor"}], ["fast", None, [1]]),
        (tuple[float | Tensor, float], [[0.5, 1]], [["x", 1]]),
        (Tensor | None, [None, "not judged"], []),
        (Literal["a", "b"], ["a", "b"], ["c", None, 1, ["a"]]),
        (Sequence[int], [[], [1, 2]], [1, "12", [1.5], None]),
        (list[str], [["a"]], ["a", [1]]),
        (tuple[float, float], [[0.5, 1]], [[0.5], [0.1, 0.2, 0.3], ["a", 1], 0.5]),
        (tuple[int, ...], [[], [1, 2, 3]], [["a"], 3]),
        (Sequence[Sequence[int]], [[[1], []]], [[1]]),
    ],
)
def test_fits(hint, right, wrong):
    assert [value for value in right if not fits(value, hint)] == []
    assert [value for value in wrong if fits(value, hint)] == []
    assert describe(hint)


@pytest.mark.parametrize(("hint", "words"), [
    (int, "a whole number"),
    (float | None, "a number or null"),
    (float | Tensor, "a number"),
    (Literal["a", "b"], "one of a, b"),
    (Sequence[int], "a list of whole numbers, such as [256,512]"),
    (Sequence[str], "a list of texts, such as [a,b]"),
])  # fmt: skip
def test_a_type_in_words(hint, words: str):
    assert describe(hint) == words


def test_types_that_cannot_be_evaluated_are_not_checked():
    def target(a: "Missing", b: int): ...  # noqa: F821

    assert parameter_types(target) == {}
    assert parameter_types(type("A", (), {"__init__": lambda self, a: None})) == {}
