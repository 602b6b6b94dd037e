"""Members of a population against the same runs alone: weights, moments, rows and files."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping
from same_run import TIMES, assert_same_run, with_callback

from ganduel import checkpoint
from ganduel.metric.evaluation import Evaluation
from ganduel.run import run
from ganduel.tracking.files import rows

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
QUICK = ("plain", "r1", "batch norm in G, layer norm in D")


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
