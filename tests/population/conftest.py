"""Members that are trained from the words of a command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganduel.population.together import Seat, Together
from ganduel.run import prepare

CHOICES = dict.fromkeys(("loss", "penalty", "model", "data", "optimizer", "schedule", "trainer"), "any")
POINTS = ("data=ring8", "tracking=none", "callback=[statistics,saturation]", "trainer.precision=64-true", "log_every=5",
          "checkpoint_seconds=0")  # fmt: skip


@pytest.fixture
def values(tiny: Callable[..., dict], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A function that begins a run in a new folder, by its name, and returns its config."""

    def begin(name: str, *words: str) -> dict[str, Any]:
        (tmp_path / name).mkdir()
        return prepare.begin(tiny(*POINTS, *words), tmp_path / name, CHOICES, words)

    return begin


@pytest.fixture
def train(values: Callable, tmp_path: Path) -> Callable[..., Together]:
    """A function that trains members, given by their words, and leaves their folders m0, m1, …"""

    def train(*members: tuple[str, ...]) -> Together:
        names = [f"m{i}" for i in range(len(members))]
        seats = [Seat(n, values(n, *words), tmp_path / n) for n, words in zip(names, members, strict=True)]
        together = Together(seats)
        together.train()
        return together

    return train
