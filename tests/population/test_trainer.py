"""Members of a population against the same runs alone: weights, moments, rows and files."""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor

from ganduel import checkpoint
from ganduel.metric.evaluation import Evaluation
from ganduel.population.gan import StackedGAN
from ganduel.population.trainer import MemberSpec
from ganduel.run import run
from ganduel.tracking.files import rows

TIMES = {"seconds", "speed/images_per_second"}

RMSPROP = (
    "optimizer=sgd",
    *(f"optimizer.{net}._target_=torch.optim.RMSprop" for net in ("generator", "discriminator")),
    *(f"optimizer.{net}.lr=1e-3" for net in ("generator", "discriminator")),
)
LATE = (
    "optimizer=sgd",
    "schedule=goodfellow2014",
    *(f"optimizer.{net}.momentum=0.0" for net in ("generator", "discriminator")),
    *(f"schedule.{net}.{key}" for net in ("generator", "discriminator") for key in ("start=3", "saturate=20")),
)
CYCLIC = (
    "optimizer=sgd",
    *(
        f"+schedule.{net}={{_target_: torch.optim.lr_scheduler.CyclicLR, base_lr: 0.0001, max_lr: 0.001}}"
        for net in ("generator", "discriminator")
    ),
)
SETTINGS = {
    "plain": (),
    "saturating, k=3": ("loss=saturating", "k=3"),
    "r1": ("penalty=r1", "penalty.r1.gamma=1.0"),
    "sgd with schedule of momentum": ("optimizer=sgd", "schedule=goodfellow2014"),
    "clipped, linear schedule": ("clip.generator=0.1", "clip.discriminator=0.2", "schedule=linear"),
    "momentum that comes late": LATE,
    "cyclic schedule": CYCLIC,
    "cosine schedule, no average": ("schedule=cosine", "ema=null"),
    "rmsprop": RMSPROP,
    "batch norm in G, layer norm in D": ("model.generator.norm=batch", "model.discriminator.norm=layer"),
    "batch norm in D": ("model.discriminator.norm=batch",),
    "spectral norm": ("model.discriminator.norm=spectral",),
    "maxout and dropout": ("model.discriminator.activation=maxout", "model.discriminator.dropout=0.5"),
    "uniform noise, relu": ("model.generator.noise=uniform", "model.generator.activation=relu"),
}  # fmt: skip
# The bias of a layer before a BatchNorm has no effect and no gradient but rounding, which Adam makes steps of. Training
# amplifies them: by 4e-8 after 80 iterations, and 5e-5 after 240.
TOLERANCE = {"batch norm in D": 1e-6}
QUICK = ("plain", "r1", "clipped, linear schedule", "momentum that comes late", "batch norm in G, layer norm in D")


def flat(tree: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested containers, by their paths."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else None
    if pairs is None:
        return {path: tree}
    return {name: leaf for key, value in pairs for name, leaf in flat(value, f"{path}/{key}").items()}


def counts_blocks(key: str) -> bool:
    """Whether it is one of Lightning's counts of batches, which are blocks of as many iterations as callbacks allow."""
    return "batch_progress" in key or "_batches_that_stepped" in key or "scheduler_progress" in key


def assert_same_run(one: Path, other: Path, tolerance: float) -> None:
    """Their last checkpoints and their rows are the same but for what was timed and how the run is named."""
    first, second = (flat(checkpoint.read(folder / "checkpoints" / "last.ckpt")) for folder in (one, other))
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, Tensor):
            assert value.dtype == second[key].dtype, key
            assert value.untyped_storage().nbytes() == value.nbytes, f"{key} drags the stack along"
            torch.testing.assert_close(value, second[key], rtol=tolerance, atol=tolerance, msg=key)
        elif "/run/" not in key and not key.endswith("/seconds") and not counts_blocks(key):
            expected = pytest.approx(second[key], rel=tolerance) if isinstance(value, float) else second[key]
            assert value == expected, key
    for name in ("metrics.jsonl", "histograms.jsonl"):
        mine, theirs = rows(one / name), rows(other / name)
        assert len(mine) == len(theirs)
        for row, its in zip(mine, theirs, strict=True):
            assert row.keys() == its.keys()
            for key in row.keys() - TIMES:
                assert row[key] == pytest.approx(its[key], rel=1e3 * tolerance, abs=1e-9), key
    assert {p.relative_to(one) for p in one.rglob("*")} == {p.relative_to(other) for p in other.rglob("*")}


def assert_follows_alone(train: Callable, values: Callable, tmp_path: Path, name: str, iterations: int, *alone: int):
    """The members of these numbers are compared, of three."""
    words = (*SETTINGS[name], f"trainer.max_steps={iterations}", "checkpoint_every=40")
    seeds = (0, 1, 7)
    trained = train(*((*words, f"seed={seed}") for seed in seeds))
    one_by_one = {"dropout=0.5", "norm=spectral"} & {word.removeprefix("model.discriminator.") for word in words}
    assert (trained.gan.generator.batched, trained.gan.discriminator.batched) == (True, not one_by_one)
    for i in alone:
        run.fit(values(f"alone{i}", *words, f"seed={seeds[i]}"), tmp_path / f"alone{i}")
        assert_same_run(tmp_path / f"m{i}", tmp_path / f"alone{i}", TOLERANCE.get(name, 1e-9))
    different = [checkpoint.read(tmp_path / f"m{i}" / "checkpoints" / "last.ckpt")["state_dict"] for i in (0, 2)]
    assert not any(torch.equal(*pair) for pair in zip(*(list(d.values())[:1] for d in different), strict=True))


@pytest.mark.parametrize("name", QUICK)
def test_a_member_follows_the_run_alone(train, values, tmp_path, name):
    assert_follows_alone(train, values, tmp_path, name, 25, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_a_member_follows_the_run_alone_over_many_iterations(train, values, tmp_path, name):
    """To the second checkpoint, and far beyond iteration 20, at which a momentum has grown."""
    assert_follows_alone(train, values, tmp_path, name, 80, 0, 2)


@pytest.mark.slow
def test_members_may_differ_in_all_but_what_shapes_the_iteration(train, values, tmp_path):
    """Blocks of one member, of two, and alike ones that do not follow each other."""
    members = [
        ("loss=saturating", "seed=1"),
        ("loss=nonsaturating", "seed=1", "optimizer.generator.lr=1e-2", "clip.discriminator=0.3"),
        ("loss=nonsaturating", "seed=2", "optimizer.generator.lr=1e-2", "clip.discriminator=0.3"),
        ("penalty=r1", "penalty.r1.gamma=0.5", "optimizer.discriminator.betas=[0.9,0.99]", "ema=null"),
        ("penalty=r1", "penalty.r1.gamma=5.0", "schedule=linear", "ema.half_life_kimg=0.1", "ema.every_n_iterations=3"),
        ("loss=saturating", "seed=3"),
        ("optimizer=sgd", "optimizer.discriminator.momentum=0.0"),
        ("data=grid25",),
    ]
    members = [(*words, "trainer.max_steps=30", "model.generator.norm=batch") for words in members]
    train(*members)
    for i, words in enumerate(members):
        run.fit(values(f"alone{i}", *words), tmp_path / f"alone{i}")
        assert_same_run(tmp_path / f"m{i}", tmp_path / f"alone{i}", 1e-9)


def test_a_population_of_one_is_a_run_alone(train, values, tmp_path):
    words = ("trainer.max_steps=40", "trainer.precision=32-true")
    train(words)
    run.fit(values("alone", *words), tmp_path / "alone")
    assert_same_run(tmp_path / "m0", tmp_path / "alone", 1e-5)


def test_members_in_bfloat16_follow_the_run_alone_to_its_digits(train, values, tmp_path):
    words = ("trainer.max_steps=5", "trainer.precision=bf16-mixed", "log_every=1", "penalty=r1")
    train((*words, "seed=1"), (*words, "seed=2"))
    run.fit(values("alone", *words, "seed=2"), tmp_path / "alone")
    for mine, its in zip(
        rows(tmp_path / "m1" / "metrics.jsonl"), rows(tmp_path / "alone" / "metrics.jsonl"), strict=True
    ):
        for key in mine.keys() - TIMES:
            assert mine[key] == pytest.approx(its[key], rel=0.03, abs=0.03), key


class Muon(torch.optim.Optimizer):
    """Divides each gradient by its norm: it looks at a tensor as a whole."""

    def __init__(self, params, lr, momentum):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        if closure is not None:
            closure()
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(p.grad / p.grad.norm(), alpha=group["lr"])


def test_an_optimizer_that_looks_at_whole_tensors_is_left_to_each_member(train, values, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "whole", SimpleNamespace(Muon=Muon))
    own = (f"optimizer.{net}._target_=whole.Muon" for net in ("generator", "discriminator"))
    words = ("optimizer=sgd", *own, "schedule=linear", "trainer.max_steps=30")
    train((*words, "seed=1"), (*words, "seed=2"))
    run.fit(values("alone", *words, "seed=2"), tmp_path / "alone")
    assert_same_run(tmp_path / "m1", tmp_path / "alone", 1e-9)


class Watch(Callback):
    """A user's own callback, which must see Lightning's loop around each iteration."""

    def __init__(self):
        self.seen: list[tuple[str, int]] = []

    def on_train_batch_start(self, trainer, *rest):
        self.seen.append(("start", trainer.global_step))

    def on_train_batch_end(self, trainer, pl_module, *rest):
        self.seen.append(("end", trainer.global_step))
        pl_module.log("mine", 1.0)


def with_callback(monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], Callback]) -> dict[int, Callback]:
    """Each run gets a callback, made from its config; they are found by the run's seed."""
    build, made = run.Run.build, {}

    def built(self: run.Run, *rest: Any) -> None:
        build(self, *rest)
        made[self.values["seed"]] = make(self.values)
        self.callbacks.insert(-1, made[self.values["seed"]])

    monkeypatch.setattr(run.Run, "build", built)
    return made


def test_a_users_callback_sees_each_iteration_begin_and_end(train, monkeypatch):
    made = with_callback(monkeypatch, lambda config: Watch())
    train(("seed=1", "trainer.max_steps=4"), ("seed=2", "trainer.max_steps=4"))
    for watch in made.values():
        assert watch.seen == [pair for n in range(4) for pair in (("start", n), ("end", n + 1))]


class Monitor(EarlyStopping):
    """Looks at a metric every five iterations, as a run has no epochs."""

    def on_train_batch_end(self, trainer, pl_module, *rest):
        pl_module.log("mine", float(trainer.global_step))
        if trainer.global_step % 5 == 0:
            self.on_train_epoch_end(trainer, pl_module)


def test_a_member_has_its_own_metrics_to_be_monitored_and_rows_of_its_own(train, monkeypatch, tmp_path):
    """Those of the shared Trainer would be of the last member; a row comes as often as in a run alone."""
    made = with_callback(monkeypatch, lambda config: Monitor("loss/d"))
    train(*((f"seed={seed}", "trainer.max_steps=10", "callback=[statistics]") for seed in (1, 2)))
    for name, monitor in zip(("m0", "m1"), made.values(), strict=True):
        logged = rows(tmp_path / name / "metrics.jsonl")
        losses = [row["loss/d"] for row in logged if row["iteration"] in (5, 10) and "loss/d" in row]
        assert len(losses) == 2
        assert monitor.best_score.item() == min(losses)
        assert [row["mine"] for row in logged if "mine" in row] == [5, 10]


class Spoil(Callback):
    """Makes a weight of G NaN at the end of an iteration."""

    def __init__(self, at: int):
        self.at = at

    def on_train_batch_end(self, trainer, pl_module, *rest):
        if trainer.global_step == self.at:
            next(pl_module.generator.parameters()).data.view(-1)[0] = float("nan")


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


def test_all_are_evaluated_and_real_samples_are_looked_at_once(train, values, tmp_path, monkeypatch):
    looks = []
    look = Evaluation.accumulate_real
    monkeypatch.setattr(Evaluation, "accumulate_real", lambda *arguments: looks.append(1) or look(*arguments))
    metrics = ("callback=[statistics,evaluate]", "metric=[frechet]", "metric.frechet.samples=200")
    words = (*metrics, "trainer.max_steps=20", "callback.evaluate.every_n_iterations=10")
    train((*words, "seed=1"), (*words, "seed=2"), (*words, "data=grid25"))
    assert len(looks) == 2  # at the ring's and at the grid's
    for name, more in (("m1", "seed=2"), ("m2", "data=grid25")):
        run.fit(values(f"alone-{name}", *words, more), tmp_path / f"alone-{name}")
        mine, its = (
            [row["fd/points_200"] for row in rows(tmp_path / folder / "metrics.jsonl") if "fd/points_200" in row]
            for folder in (name, f"alone-{name}")
        )
        assert len(mine) == 2
        assert mine == pytest.approx(its, rel=1e-9)
    assert (tmp_path / "m0" / "checkpoints" / "best.ckpt").exists()


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
