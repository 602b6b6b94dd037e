"""Algorithm 1 is where a reader or a debugger finds it."""

import traceback
from pathlib import Path
from typing import Any

import torch
from small import SMALL

from ganduel import gan as gan_module

PACKAGE = Path(gan_module.__file__).parent
MAIN = str(PACKAGE / "run" / "main.py")  # the program


def test_few_frames_lie_between_the_program_and_an_optimizers_step(command, monkeypatch):
    """A breakpoint in a default run shows Algorithm 1, in every iteration."""
    frames: list[list[str]] = []

    class Stopped(torch.optim.Adam):
        def step(self, closure: Any = None) -> None:
            stack = traceback.extract_stack()
            frames.append([f.name for f in stack if Path(f.filename).is_relative_to(PACKAGE) and f.filename != MAIN])
            if len(frames) == 2 * 19 + 1:  # D's step of iteration 20
                raise RuntimeError("stopped")
            super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Stopped)
    outcome = command(*SMALL, "tracking=none", "trainer.max_steps=30", "data=ring8", "callback=[statistics]")
    assert outcome.code == 1
    assert len(frames) == 39
    assert frames[-1][-5:] == ["training_step", "iterate", "update", "update_discriminator", "descend"]
    assert max(map(len, frames)) <= 9


def test_gan_is_one_page():
    """Algorithm 1 and no word of what makes it fast, or many."""
    text = Path(gan_module.__file__).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 160
    for word in ("cuda", "graph", "stream", "record", "population", "member", "vmap", "replay_"):
        assert word not in text.lower(), word
