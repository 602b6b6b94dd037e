"""How members end, by themselves or together, and go on from where they were."""

import json
import logging
import os
import signal
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from same_run import assert_same_run, with_callback

from ganduel import checkpoint
from ganduel.population.gan import StackedGAN
from ganduel.population.trainer import MemberSpec
from ganduel.run import run


class Spoil(Callback):
    """Makes a weight of G NaN at the end of an iteration."""

    def __init__(self, at: int):
        self.at = at

    def on_train_batch_end(self, trainer, pl_module, *rest):
        if trainer.global_step == self.at:
            next(pl_module.generator.parameters()).data.view(-1)[0] = float("nan")


@pytest.mark.slow
def test_one_that_diverges_ends_and_the_others_go_on_as_if_alone(train, values, tmp_path, monkeypatch, caplog):
    words = ("trainer.max_steps=40", "checkpoint_every=10", "log_every=4")
    with monkeypatch.context() as patched:
        with_callback(patched, lambda config: Spoil(17 if config["seed"] == 2 else -1))
        with caplog.at_level(logging.INFO, "ganduel"):
            trained = train(*((*words, f"seed={seed}") for seed in (1, 2, 3)))
    summaries = [json.loads((tmp_path / f"m{i}" / "summary.json").read_text()) for i in range(3)]
    assert [summary["status"] for summary in summaries] == ["finished", "diverged", "finished"]
    assert "became nan in iteration 18" in summaries[1]["reason"]
    assert trained.stacks == [(0, 3), (18, 2)]
    assert "m1: error: " in caplog.text
    assert checkpoint.read(tmp_path / "m1" / "checkpoints" / "last.ckpt")["global_step"] == 10
    for i, seed in ((0, 1), (2, 3)):
        run.fit(values(f"alone{i}", *words, f"seed={seed}"), tmp_path / f"alone{i}")
        assert_same_run(tmp_path / f"m{i}", tmp_path / f"alone{i}", 1e-9)


class Signal(Callback):
    def __init__(self, at: int):
        self.at = at

    def on_train_batch_end(self, trainer, *rest):
        if trainer.global_step == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_stops_all_after_the_same_iteration_and_they_go_on_from_there(
    train, train_specs, values, tmp_path, monkeypatch
):
    """It comes while the second of three members is at the end of iteration 12."""
    words = ("trainer.max_steps=30", "schedule=linear", "optimizer=sgd")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with monkeypatch.context() as patched:
        with_callback(patched, lambda config: Signal(12 if config["seed"] == 2 else -1))
        trained = train(*((*words, f"seed={seed}") for seed in (1, 2, 3)))
    assert trained.code == 128 + signal.SIGTERM
    assert {number: signal.getsignal(number) for number in before} == before
    files = [tmp_path / f"m{i}" / "checkpoints" / "last.ckpt" for i in range(3)]
    assert [checkpoint.read(path)["global_step"] for path in files] == [13] * 3
    assert json.loads((tmp_path / "m0" / "summary.json").read_text())["status"] == "stopped"
    train_specs(
        [MemberSpec(f"m{i}", spec.values, tmp_path / f"m{i}", files[i]) for i, spec in enumerate(trained.specs)]
    )
    run.fit(values("alone", *words, "seed=3"), tmp_path / "alone")
    assert_same_run(tmp_path / "m2", tmp_path / "alone", 1e-9)


@pytest.mark.slow
def test_members_that_are_behind_catch_up_first(train_specs, values, tmp_path):
    """As after a kill between the checkpoints of two members; moments and rates are taken up from each one's.

    They iterate together from where they meet.
    """
    words = ("schedule=linear", "trainer.max_steps=40", "penalty=r1", "callback=[statistics]")
    configs = [values(f"m{i}", *words, f"seed={i}") for i in range(3)]
    for i, done in ((0, 10), (1, 25)):
        short = {**configs[i], "trainer": {**configs[i]["trainer"], "max_steps": done}}
        run.fit(short, tmp_path / f"m{i}")
    at = [*(tmp_path / f"m{i}" / "checkpoints" / "last.ckpt" for i in range(2)), None]
    trained = train_specs([MemberSpec(f"m{i}", configs[i], tmp_path / f"m{i}", at[i]) for i in range(3)])
    assert trained.stacks == [(0, 1), (10, 2), (25, 3)]
    for i in range(3):
        run.fit(values(f"alone{i}", *words, f"seed={i}"), tmp_path / f"alone{i}")
        assert_same_run(tmp_path / f"m{i}", tmp_path / f"alone{i}", 1e-9)


def test_a_member_goes_on_alone_from_its_checkpoint(train, values, tmp_path):
    words = ("trainer.max_steps=20", "model.generator.norm=batch")
    trained = train((*words, "seed=1"), (*words, "seed=2"))
    longer = {**trained.specs[1].values, "trainer": {**trained.specs[1].values["trainer"], "max_steps": 40}}
    run.fit(longer, tmp_path / "m1", tmp_path / "m1" / "checkpoints" / "last.ckpt")
    run.fit(values("alone", *words, "seed=2", "trainer.max_steps=40"), tmp_path / "alone")
    mine, its = (
        checkpoint.read(tmp_path / name / "checkpoints" / "last.ckpt")["state_dict"] for name in ("m1", "alone")
    )
    assert mine.keys() == its.keys()
    for key in mine:
        torch.testing.assert_close(mine[key], its[key], rtol=1e-9, atol=1e-9)


def test_what_fails_in_the_stack_ends_all_members(train, tmp_path, monkeypatch):
    iterate = StackedGAN.iterate

    def fail(gan: StackedGAN, t: int) -> Any:
        if t == 3:
            raise RuntimeError("out of memory")
        return iterate(gan, t)

    monkeypatch.setattr(StackedGAN, "iterate", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(("seed=1",), ("seed=2",))
    for i in range(2):
        summary = json.loads((tmp_path / f"m{i}" / "summary.json").read_text())
        assert (summary["status"], summary["iteration"]) == ("failed", 3)
        assert "out of memory" in summary["reason"]


@pytest.mark.usefixtures("untyped")
def test_one_that_cannot_be_built_fails_alone(train, tmp_path, caplog):
    train(("seed=1",), ("seed=2", "batch_size=100", "data=gaussian1d", "data.sigma=-1"))
    ends = [json.loads((tmp_path / f"m{i}" / "summary.json").read_text()) for i in range(2)]
    assert [end["status"] for end in ends] == ["finished", "failed"]
    assert "data.sigma=-1" in ends[1]["reason"]
    assert "m1: error: data.sigma=-1" in caplog.text


class Stop(Callback):
    """Ends its run at an iteration, as EarlyStopping does."""

    def __init__(self, at: int):
        self.at = at

    def on_train_batch_end(self, trainer, *rest):
        if trainer.global_step == self.at:
            trainer.should_stop = True


def test_a_callback_that_stops_its_run_stops_this_member_alone(train, values, tmp_path, monkeypatch):
    words = ("trainer.max_steps=20",)
    with monkeypatch.context() as patched:
        with_callback(patched, lambda config: Stop(7 if config["seed"] == 1 else -1))
        train(*((*words, f"seed={seed}") for seed in (1, 2)))
    ends = [json.loads((tmp_path / f"m{i}" / "summary.json").read_text()) for i in range(2)]
    assert [(end["status"], end["iteration"]) for end in ends] == [("finished", 7), ("finished", 20)]
    assert checkpoint.read(tmp_path / "m0" / "checkpoints" / "last.ckpt")["global_step"] == 7
    run.fit(values("alone", *words, "seed=2"), tmp_path / "alone")
    assert_same_run(tmp_path / "m1", tmp_path / "alone", 1e-9)
