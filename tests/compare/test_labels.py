"""Labels are short, distinct and in a natural order."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ganduel.compare.labels import choice_name, distinguishing, natural_sort, short


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('"torch.optim.Adam"', "Adam"), ("0.001", "0.001"), ("null", "null"), (None, "absent"), ("[1, 2]", "[1, 2]"),
        ('"a b.c"', "a b.c"), ("1e-05", "1e-05"), ("true", "true"), ('"x"', "x"), ('"2.13.0"', "2.13.0"),
    ],
)  # fmt: skip
def test_values_as_one_would_type_them(value: str | None, words: str):
    assert short(value) == words


def test_names_in_order_with_numbers_by_size():
    names = ["k=10", "k=9", "k=2", "1e-05", "0.001", "0.0002", "none", "r1 (gamma=10)", "r1 (gamma=2)", "x"]
    expected = ["1e-05", "0.0002", "0.001", "k=2", "k=9", "k=10", "none", "r1 (gamma=2)", "r1 (gamma=10)", "x"]
    assert natural_sort(names) == expected
    assert natural_sort(["1e+16", "2.0"]) == ["2.0", "1e+16"]


@given(st.lists(st.text(st.sampled_from("ab10.e-+ ²٣"))))
@example(["0", "00"])
def test_any_names_have_an_order(names: list[str]):
    ordered = natural_sort(names)
    assert sorted(ordered) == sorted(names)
    assert natural_sort(reversed(ordered)) == natural_sort(names)


@pytest.mark.parametrize(
    ("choice", "name"), [("r1", "r1"), (None, "None"), ([], "[]"), (["r1"], "[r1]"), (["r1", "r2"], "[r1,r2]")]
)
def test_choices_as_on_the_command_line(choice, name):
    assert choice_name(choice) == name


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["data=a,k=1,seed=0", "data=a,k=1,seed=1"], ["seed=0", "seed=1"]),
        (["hidden=[64,64],k=1", "hidden=[64,32],k=1", "again"], ["hidden=[64,64]", "hidden=[64,32]", "again"]),
        (["k=1", "k=1,seed=3"], ["k=1", "seed=3"]),
        (["k=1,seed=3"], ["k=1,seed=3"]),
        (["a,b", "a,c"], ["a,b", "a,c"]),
        ([], []),
    ],
)
def test_names_of_a_sweep_without_what_they_share(names, expected):
    assert distinguishing(names) == expected
