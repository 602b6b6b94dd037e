"""Members that are trained from the words of a command line."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ganduel.population import trainer
from ganduel.population.gan import StackedGAN
from ganduel.population.trainer import MemberSpec, train_members
from ganduel.run import prepare

CHOICES = dict.fromkeys(("loss", "model", "data", "optimizer", "schedule", "trainer"), "any")
POINTS = ("data=ring8", "tracking=none", "callback=[statistics,saturation]", "trainer.precision=64-true", "log_every=5",
          "checkpoint_min_seconds=0")  # fmt: skip


@dataclass
class Trained:
    """What came of a population.

    Attributes:
        specs: of its members.
        gan: the one that was stacked.
        code: the exit code of a signal.
        stacks: of each stacking, the iteration and the number of members.
    """

    specs: list[MemberSpec]
    gan: Any = None
    code: int | None = None
    stacks: list[tuple[int, int]] = field(default_factory=list)


@pytest.fixture
def values(tiny: Callable[..., dict], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A function that begins a run in a new folder, by its name, and returns its config."""

    def begin(name: str, *words: str) -> dict[str, Any]:
        (tmp_path / name).mkdir()
        return prepare.start(tiny(*POINTS, *words), tmp_path / name, CHOICES, words)

    return begin


@pytest.fixture
def train_specs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trained]:
    """A function that trains members."""

    def train(specs: list[MemberSpec]) -> Trained:
        trained = Trained(specs)

        class Kept(StackedGAN):
            def __init__(self, *args: Any):
                super().__init__(*args)
                trained.gan = self

            def stack(self, active: Any) -> None:
                trained.stacks.append((self.trainer.global_step, len(active)))
                super().stack(active)

        with monkeypatch.context() as patched:
            patched.setattr(trainer, "StackedGAN", Kept)
            trained.code = train_members(specs)
        return trained

    return train


@pytest.fixture
def train(values: Callable, train_specs: Callable, tmp_path: Path) -> Callable[..., Trained]:
    """A function that trains members, given by their words, and leaves their folders m0, m1, …"""

    def train(*members: tuple[str, ...]) -> Trained:
        names = [f"m{i}" for i in range(len(members))]
        return train_specs(
            [MemberSpec(n, values(n, *words), tmp_path / n) for n, words in zip(names, members, strict=True)]
        )

    return train
