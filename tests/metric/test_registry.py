"""The metrics that fit given data, by themselves or by name."""

import pytest

from ganduel.data.mnist import MNIST
from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError
from ganduel.metric.registry import applicable, named


def test_what_fits_by_itself():
    assert [type(m).__name__ for m in applicable(MNIST())] == ["FrechetDistance", "KernelDistance", "Neighbours"]
    assert [type(m).__name__ for m in applicable(Ring8())] == [
        "Modes",
        "FrechetDistance",
        "KernelDistance",
        "Neighbours",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("frecht", r"there is no metric frecht\. Did you mean frechet"),
        (
            "parzen",
            r"parzen does not fit Ring8: it has no validation images\. These fit: modes, frechet, kernel, neighbours\.",
        ),
    ],
)
def test_what_cannot_be_chosen_is_said(name, message):
    with pytest.raises(UserError, match=message):
        named([name], Ring8())
