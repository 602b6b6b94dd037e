"""A member has its turn when there is something to do for one of them, and its checkpoint has its own tensors.

In between none has.
"""

import json
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganduel import checkpoint
from ganduel.population.member import Member, own
from ganduel.population.stack import Stack
from ganduel.population.together import Seat, Together

THREE = [(f"seed={seed}",) for seed in (1, 2, 3)]


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Each member's turns after an iteration, with the number of the iteration."""
    had: list[tuple[str, int]] = []
    turn = Together.turn

    def noted(together: Together, seat: Seat, *outputs) -> None:
        if outputs:
            had.append((seat.name, seat.duel.global_step + 1))
        turn(together, seat, *outputs)

    monkeypatch.setattr(Together, "turn", noted)
    return had


def meddle(monkeypatch: pytest.MonkeyPatch, with_outputs: Callable[[int, dict[str, Tensor]], None]) -> None:
    """Have a look at what the stack's iterations return."""
    iterate = Stack.iterate

    def meddled(stack: Stack, t: int) -> dict[str, Tensor]:
        outputs = iterate(stack, t)
        with_outputs(t, outputs)
        return outputs

    monkeypatch.setattr(Stack, "iterate", meddled)


def test_all_have_a_turn_when_one_of_them_waits_for_it(train: Callable, turns):
    """Rows of one come every 4 iterations, of the others every 10; checkpoints every 15."""
    words = ("trainer.max_steps=22", "checkpoint_every=15")
    train(*((f"seed={i}", f"log_every={every}", *words) for i, every in enumerate((10, 4, 10))))
    expected = [1, 4, 8, 10, 12, 15, 16, 20, 22]
    for name in ("m0", "m1", "m2"):
        assert [n for one, n in turns if one == name] == expected


def test_one_that_diverges_meanwhile_is_told_when(train: Callable, tmp_path: Path, monkeypatch, caplog):
    """The third in iteration 17, when the next look is at 20; the others go on."""

    def spoil(t: int, outputs: dict[str, Tensor]) -> None:
        if t == 16:
            outputs["grad/norm_g"] = outputs["grad/norm_g"].clone()
            outputs["grad/norm_g"][2] = float("inf")

    meddle(monkeypatch, spoil)
    with caplog.at_level(logging.INFO, "ganduel"):
        train(*((*words, "trainer.max_steps=30", "log_every=10") for words in THREE))
    ends = [json.loads((tmp_path / f"m{i}" / "summary.json").read_text()) for i in range(3)]
    assert [end["status"] for end in ends] == ["finished", "finished", "diverged"]
    assert "G's gradient became inf in iteration 17" in ends[2]["reason"]
    assert [end["iteration"] for end in ends] == [30, 30, 20]


@pytest.mark.parametrize("who", [0, 1])
def test_one_that_ends_takes_its_tensors_away_and_no_other_minds(train, tmp_path: Path, monkeypatch, who: int):
    """As Lightning takes them off a GPU, before others have read anything of the iteration."""

    def spoil(t: int, outputs: dict[str, Tensor]) -> None:
        if t == 16:
            outputs["grad/norm_g"] = outputs["grad/norm_g"].clone()
            outputs["grad/norm_g"][who] = float("inf")

    meddle(monkeypatch, spoil)
    monkeypatch.setattr(Member, "cpu", lambda member: member.to("meta"))
    words = ("trainer.max_steps=30", "log_every=10", "callback.saturation.gradient_every=10")
    train(*((*seed, *words) for seed in THREE))
    ends = [json.loads((tmp_path / f"m{i}" / "summary.json").read_text())["status"] for i in range(3)]
    assert ends == ["diverged" if i == who else "finished" for i in range(3)]


@pytest.mark.parametrize("lasts", [False, True])
def test_the_iteration_is_named_also_if_turns_of_others_were_in_between(train, tmp_path, monkeypatch, lasts: bool):
    """The third looks at 10, 20 and 30; the second has rows at 4, 8, …, and it is spoiled at 16."""

    def spoil(t: int, outputs: dict[str, Tensor]) -> None:
        if t == 15 or (lasts and 15 < t < 20):
            outputs["grad/norm_g"] = outputs["grad/norm_g"].clone()
            outputs["grad/norm_g"][2] = float("inf")

    meddle(monkeypatch, spoil)
    train(*((f"seed={i}", f"log_every={every}", "trainer.max_steps=30") for i, every in enumerate((10, 4, 10))))
    assert "in iteration 16" in json.loads((tmp_path / "m2" / "summary.json").read_text())["reason"]


def test_members_without_rows_are_looked_at_as_often(train: Callable, tmp_path: Path, monkeypatch):
    def spoil(t: int, outputs: dict[str, Tensor]) -> None:
        if t == 2:
            outputs["loss/d"] = outputs["loss/d"].clone()
            outputs["loss/d"][2] = float("nan")

    meddle(monkeypatch, spoil)
    rare = [f"callback.{key}=1000" for key in ("statistics.every", "saturation.every", "saturation.gradient_every")]
    train(*((*seed, *rare, "log_every=5", "trainer.max_steps=30") for seed in THREE))
    end = json.loads((tmp_path / "m2" / "summary.json").read_text())
    assert (end["status"], end["iteration"]) == ("diverged", 5)


def test_a_signal_that_comes_meanwhile_ends_all_after_the_iteration(train: Callable, tmp_path: Path, monkeypatch):
    meddle(monkeypatch, lambda t, outputs: os.kill(os.getpid(), signal.SIGTERM) if t == 12 else None)
    train(*((*words, "trainer.max_steps=30", "log_every=10") for words in THREE))
    for i in range(3):
        saved = checkpoint.read(tmp_path / f"m{i}" / "checkpoints" / "last.ckpt")
        assert saved["global_step"] == 14  # noted after the 13th, it ends the next
        counts = saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]
        assert counts == saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
        assert (counts["ready"], counts["started"], counts["processed"]) == (14, 14, 14)


def test_what_is_read_of_members_is_read_of_all_at_once(train: Callable, monkeypatch):
    from ganduel.callback import statistics

    asked, rows = [], statistics.rows
    monkeypatch.setattr(statistics, "rows", lambda outputs, gans: asked.append(len(gans)) or rows(outputs, gans))
    train(*((*words, "trainer.max_steps=12", "log_every=5") for words in THREE))
    assert asked == [3] * 4  # at 1, 5, 10 and 12


def test_a_view_is_cut_out_and_anything_else_is_left():
    stack = torch.arange(6.0).view(2, 3)
    alone = own(stack[1])
    assert torch.equal(alone, stack[1])
    assert alone.untyped_storage().nbytes() == 12
    assert own(stack) is stack
    assert own("text") == "text"
