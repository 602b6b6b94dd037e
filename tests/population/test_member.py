"""A member's callbacks are called when there is something to do for one of them, and its checkpoint is its own."""

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
from ganduel.population.gan import StackedGAN
from ganduel.population.member import MemberTrainer, outputs_of, owned

THREE = [(f"seed={seed}",) for seed in (1, 2, 3)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The ends of blocks that each member's callbacks see, with the number of the iteration."""
    seen: list[tuple[str, int]] = []
    call = MemberTrainer.call

    def noted(member: MemberTrainer, hook: str, *arguments) -> None:
        if hook == "on_train_batch_end":
            seen.append((member.name, member.global_step))
        call(member, hook, *arguments)

    monkeypatch.setattr(MemberTrainer, "call", noted)
    return seen


def meddle(monkeypatch: pytest.MonkeyPatch, with_outputs: Callable[[int, dict[str, Tensor]], None]) -> None:
    """Look at what the stack's iterations return."""
    iterate = StackedGAN.iterate

    def meddled(gan: StackedGAN, t: int) -> dict[str, Tensor]:
        outputs = iterate(gan, t)
        with_outputs(t, outputs)
        return outputs

    monkeypatch.setattr(StackedGAN, "iterate", meddled)


def spoil(monkeypatch: pytest.MonkeyPatch, at: int, who: int, key: str = "grad/norm_g") -> None:
    """Make a member's number infinite in iteration `at`, counted from 0."""

    def spoil(t: int, outputs: dict[str, Tensor]) -> None:
        if t == at:
            outputs[key] = outputs[key].clone()
            outputs[key][who] = float("inf")

    meddle(monkeypatch, spoil)


def ends(folder: Path) -> list[dict]:
    return [json.loads((folder / f"m{i}" / "summary.json").read_text()) for i in range(3)]


def test_all_are_called_when_one_of_them_waits_for_it(train: Callable, calls):
    """Rows of one come every 4 iterations, of the others every 10; checkpoints every 15."""
    words = ("trainer.max_steps=22", "checkpoint_every=15")
    train(*((f"seed={i}", f"log_every={every}", *words) for i, every in enumerate((10, 4, 10))))
    expected = [1, 4, 8, 10, 12, 15, 16, 20, 22]
    for name in ("m0", "m1", "m2"):
        assert [n for one, n in calls if one == name] == expected


def test_one_that_diverges_meanwhile_is_told_when(train: Callable, tmp_path: Path, monkeypatch, caplog):
    """The third in iteration 17, when the block ends at 20; the others go on."""
    spoil(monkeypatch, at=16, who=2)
    with caplog.at_level(logging.INFO, "ganduel"):
        train(*((*words, "trainer.max_steps=30", "log_every=10") for words in THREE))
    assert [end["status"] for end in ends(tmp_path)] == ["finished", "finished", "diverged"]
    assert "G's gradient became inf in iteration 17" in ends(tmp_path)[2]["reason"]
    assert [end["iteration"] for end in ends(tmp_path)] == [30, 30, 20]


@pytest.mark.parametrize("who", [0, 1])
def test_one_that_ends_frees_its_tensors_and_no_other_minds(train, tmp_path: Path, monkeypatch, who: int):
    spoil(monkeypatch, at=16, who=who)
    words = ("trainer.max_steps=30", "log_every=10", "callback.saturation.gradient_every_n_iterations=10")
    trained = train(*((*seed, *words) for seed in THREE))
    statuses = [end["status"] for end in ends(tmp_path)]
    assert statuses == ["diverged" if i == who else "finished" for i in range(3)]
    for p in trained.gan.all_members[who].parameters():
        assert p.untyped_storage().nbytes() == p.nbytes  # it does not keep the stack


def test_the_iteration_is_named_also_if_blocks_of_others_ended_in_between(train, tmp_path, monkeypatch):
    """The third's rows are at 10, 20 and 30; the second's at 4, 8, …, and the third is spoiled at 16."""
    spoil(monkeypatch, at=15, who=2)
    train(*((f"seed={i}", f"log_every={every}", "trainer.max_steps=30") for i, every in enumerate((10, 4, 10))))
    assert "in iteration 16" in ends(tmp_path)[2]["reason"]


def test_a_signal_that_comes_meanwhile_ends_all_after_the_same_iteration(train: Callable, tmp_path: Path, monkeypatch):
    meddle(monkeypatch, lambda t, outputs: os.kill(os.getpid(), signal.SIGTERM) if t == 12 else None)
    train(*((*words, "trainer.max_steps=30", "log_every=10") for words in THREE))
    steps = {checkpoint.read(tmp_path / f"m{i}" / "checkpoints" / "last.ckpt")["global_step"] for i in range(3)}
    assert steps == {20}  # the end of the block


def test_a_members_part_of_the_outputs():
    outputs = {"loss/d": torch.arange(3.0), "logit/real": torch.arange(6.0).view(3, 2)}
    part = outputs_of(outputs, 1)
    assert part["loss/d"].item() == 1.0
    assert part["logit/real"].tolist() == [2.0, 3.0]


def test_a_view_is_cut_out_and_anything_else_is_left():
    stack = torch.arange(6.0).view(2, 3)
    row = owned({"a": [stack[1]]})["a"][0]
    assert torch.equal(row, stack[1])
    assert row.untyped_storage().nbytes() == 12
    assert owned(stack) is stack
    assert owned("text") == "text"
