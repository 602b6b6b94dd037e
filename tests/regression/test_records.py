"""What users' callbacks, schedules, disks and hands did to a run's record, so that no work is lost by it again."""

import json
import math
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.callbacks.checkpoint import Checkpoint

from ganduel import block
from ganduel import checkpoint as checkpoints
from ganduel.callback.objective import objective_of
from ganduel.callback.save import Save
from ganduel.callback.statistics import Statistics
from ganduel.errors import UserError
from ganduel.run import run
from ganduel.tracking.files import rows

# Lightning reads a property that torchmetrics is about to remove.
IGNORE = pytest.mark.filterwarnings("ignore:This property will be removed:DeprecationWarning")


@pytest.fixture
def train(tiny: Callable[..., dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A function that trains a run in the folder "run", with more callbacks before the one that saves."""
    build, folder = run.Run.build, tmp_path / "run"

    def start(*words: str, callbacks: Any = (), checkpoint: str | None = None) -> Path:
        def with_callbacks(self: run.Run, *arguments: Any) -> None:
            build(self, *arguments)
            self.callbacks[-1:-1] = list(callbacks)

        monkeypatch.setattr(run.Run, "build", with_callbacks)
        own = ("data=ring8", "tracking=none", "callback=[statistics]", "checkpoint_min_seconds=0", "log_every=5")
        values = tiny(*own, "trainer.max_steps=20", *words)
        values["run"] = {"choices": {"loss": "nonsaturating"}}
        folder.mkdir(exist_ok=True)
        run.fit(values, folder, None if checkpoint is None else folder / "checkpoints" / checkpoint)
        return folder

    return start


class Best(Callback):
    """Saves a value from an iteration on."""

    def __init__(self, value: Any, since: int = 0):
        self.value, self.since, self.iteration = value, since, 0

    def on_train_batch_end(self, trainer, *_):
        self.iteration = trainer.global_step

    def state_dict(self):
        return {"seen": [1, {"best": self.value if self.iteration >= self.since else None}]}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.float64(3), "numpy.float64"),
        (np.zeros(2), "numpy.ndarray"),
        (Path("x"), "pathlib.PosixPath"),
        (threading.Lock(), "_thread.lock"),
        (torch.nn.parameter.UninitializedParameter(), "torch.nn.parameter.UninitializedParameter"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_callbacks_state_that_cannot_be_read_ends_the_run_at_its_first_checkpoint(fit, tmp_path, value, kind):
    """It trained to the end with exit code 0; resume, sample and evaluate then asked whether the file was cut off."""
    expected = rf"^callbacks\['Best'\]\['seen'\]\[1\]\['best'\] is {kind}, with which a checkpoint cannot be read"
    with pytest.raises(UserError, match=expected):
        fit(callbacks=[Best(value), Save(tmp_path / "checkpoints", 2, {})])
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_state_that_cannot_be_read_from_some_iteration_on_leaves_the_checkpoint_before_it(fit, tmp_path):
    """As of a callback that first measures something in the middle of the run."""
    with pytest.raises(UserError, match=r"\['best'\] is numpy\.float64"):
        fit(callbacks=[Best(np.float64(3), since=4), Save(tmp_path / "checkpoints", 2, {})])
    last = checkpoints.read(tmp_path / "checkpoints" / "last.ckpt")
    assert (last["global_step"], last["callbacks"]["Best"]) == (2, {"seen": [1, {"best": None}]})


def test_a_schedule_by_numpy_is_named(train, monkeypatch):
    """`LambdaLR(optimizer, lambda t: np.cos(t))` makes the rates numbers of numpy."""
    build_gan = run.build_gan

    def scheduled(*arguments: Any) -> Any:
        gan = build_gan(*arguments)
        gan.optim_d.make_schedule = lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, np.cos)
        return gan

    monkeypatch.setattr(run, "build_gan", scheduled)
    with pytest.raises(UserError, match=r"^optimizer_states\[0\]\['param_groups'\]\[0\]\['lr'\] is numpy\.float64"):
        train()


def test_the_cause_of_an_unreadable_checkpoint_is_said_without_escapes(tmp_path):
    """Torch's message begins with advice in bold, at which the line was cut."""
    torch.save({"ganduel": {"format": 2}, "best": np.float64(3)}, tmp_path / "a.ckpt")
    with pytest.raises(UserError) as error:
        checkpoints.read(tmp_path / "a.ckpt")
    line = str(error.value)
    assert "it has objects of Python (numpy" in line
    assert "scalar" in line
    assert line.isprintable()
    assert "cut off" not in line


class Logs(Callback):
    """Logs by each of Lightning's ways."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        pl_module.log("mine/hook", 1.0)

    def on_train_batch_end(self, trainer, pl_module, *_):
        pl_module.log("mine/module", float(trainer.global_step))
        if trainer.global_step == 7:
            numbers = {"mine/tensor": torch.tensor(1.5), "mine/numpy": np.float32(2.5), "mine/nan": math.nan}
            trainer.logger.log_metrics(numbers, step=3)


class AtTheEnd(Callback):
    """Has no hook in each batch, so that Lightning counts blocks of iterations."""

    def on_train_epoch_end(self, trainer, pl_module):
        pl_module.log("mine/end", 4.0)


@IGNORE
def test_rows_of_others_have_their_iteration_and_survive_a_resume(train):
    """LearningRateMonitor's had none: each later resume died of a KeyError, and later on lost them without a word."""
    watchers = [Logs(), LearningRateMonitor(), AtTheEnd()]
    folder = train("checkpoint_every=10", callbacks=watchers)
    logged = rows(folder / "metrics.jsonl")
    assert all(row["images_seen"] == 4 * row["iteration"] for row in logged)

    def iterations(key: str) -> list[int]:
        return [row["iteration"] for row in logged if key in row]

    assert iterations("mine/module") == iterations("mine/hook") == [5, 10, 15, 20]
    assert iterations("lr-Adam") == [0, 4, 9, 14, 19]
    assert iterations("mine/end") == [20]
    (row,) = [row for row in logged if "mine/tensor" in row]
    expected = {"mine/tensor": 1.5, "mine/numpy": 2.5, "mine/nan": None}
    assert row == {"iteration": 7, "images_seen": 28, **expected}
    assert json.loads((folder / "summary.json").read_text())["metrics"]["mine/end"] == 4.0

    train("trainer.max_steps=25", callbacks=[Logs(), LearningRateMonitor(), AtTheEnd()], checkpoint="last.ckpt")
    assert rows(folder / "metrics.jsonl")[: len(logged)] == logged
    assert [row["iteration"] for row in rows(folder / "metrics.jsonl")[len(logged) :]] == [24, 25, 25, 25]


@IGNORE
def test_blocks_of_iterations_are_no_count_of_steps(train):
    """Lightning's step of a row at the end of 20 iterations in four blocks was 4."""
    folder = train(callbacks=[AtTheEnd()])
    assert [row["iteration"] for row in rows(folder / "metrics.jsonl") if "mine/end" in row] == [20]


def test_callbacks_of_lightning_find_what_they_monitor(train):
    """EarlyStopping failed after the whole training: "conditioned on metric `loss/d` which is not available"."""
    stop = EarlyStopping("loss/d")
    best = ModelCheckpoint(monitor="loss/g", every_n_train_steps=5, save_top_k=1)
    folder = train(callbacks=[stop, best])
    logged = [row for row in rows(folder / "metrics.jsonl") if row["iteration"] % 5 == 0]
    assert stop.best_score.item() == logged[-1]["loss/d"]
    assert best.best_model_score.item() == min(row["loss/g"] for row in logged)
    assert checkpoints.read(Path(best.best_model_path))["global_step"] % 5 == 0


def test_rates_are_in_the_rows(train):
    """After the iteration: a linear schedule ends at 0."""
    folder = train("schedule=linear", "optimizer.generator.lr=0.002", "optimizer.discriminator.lr=0.004")
    rates = {row["iteration"]: (row["lr/d"], row["lr/g"]) for row in rows(folder / "metrics.jsonl")}
    for iteration in (1, 5, 10, 15, 20):
        assert rates[iteration] == pytest.approx((0.004 * (1 - iteration / 20), 0.002 * (1 - iteration / 20)))


class LogsAtTheStart(Callback):
    def on_train_start(self, trainer, pl_module):
        if trainer.global_step == 0:
            trainer.logger.log_metrics({"mine/start": 1.0})


def test_a_resume_from_iteration_0_logs_its_row_once(train):
    """As of a run killed before its second checkpoint: the theory callback's row of iteration 0 was there twice."""
    train(callbacks=[LogsAtTheStart()])
    folder = train(callbacks=[LogsAtTheStart()], checkpoint=checkpoints.INITIAL)
    assert [row["iteration"] for row in rows(folder / "metrics.jsonl")] == [0, 1, 5, 10, 15, 20]


def test_numbers_that_are_none_are_null_in_json(train):
    """Python writes NaN and Infinity, at which jq, browsers and pandas stop."""

    class NaN(Callback):
        def on_train_batch_end(self, trainer, *_):
            trainer.logger.log_metrics({"mine/nan": math.nan, "mine/inf": [math.inf]})

    folder = train("trainer.max_steps=2", callbacks=[NaN()])
    for name in ("metrics.jsonl", "histograms.jsonl", "summary.json"):
        text = (folder / name).read_text()
        assert "NaN" not in text
        assert "Infinity" not in text
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["metrics"]["mine/nan"] is None
    assert summary["metrics"]["mine/inf"] == [None]
    assert math.isnan(objective_of("mine/nan", summary))


class At(Checkpoint):
    """Does something at the end of an iteration, after the checkpoint."""

    def __init__(self, iteration: int, action: Callable[[], Any]):
        self.iteration, self.action = iteration, action

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.iteration:
            self.action()


@pytest.mark.parametrize("callback", ["[statistics]", "[]"])
def test_a_run_whose_folder_is_moved_says_so_and_does_not_create_it_again(train, tmp_path, callback):
    """It ended in a stack trace; without rows it went on, and its checkpoints were in a new folder of the old name."""
    folder, moved = tmp_path / "run", tmp_path / "moved"
    with pytest.raises(UserError, match=r"run was moved or deleted during training\. .* latest checkpoint there"):
        train(f"callback={callback}", "checkpoint_every=5", callbacks=[At(11, lambda: folder.rename(moved))])
    assert not folder.exists()
    assert checkpoints.read(moved / "checkpoints" / "last.ckpt")["global_step"] == 10


def test_a_file_that_becomes_too_large_offers_the_checkpoint_before(train, tmp_path, monkeypatch):
    """As under `ulimit -f`: a stack trace and "a fault of the program"."""

    def refuse(*_: Any) -> None:
        raise OSError(27, "File too large")

    def limit() -> None:
        monkeypatch.setattr(checkpoints.os, "fsync", refuse)

    with pytest.raises(UserError, match=r"^File too large: .*run\. Once that is mended, resume=.*run goes on from"):
        train("checkpoint_every=5", callbacks=[At(11, limit)])
    assert checkpoints.read(checkpoints.latest(tmp_path / "run"))["global_step"] == 10
    reason = json.loads((tmp_path / "run" / "summary.json").read_text())["reason"]
    assert reason.startswith("File too large")


def test_a_folder_in_the_place_of_the_last_checkpoint_is_not_passed_over(train):
    """The run began anew from iteration 0 and dropped its rows, without a word."""
    folder = train()
    shutil.move(folder / "checkpoints" / "last.ckpt", folder / "x")
    (folder / "checkpoints" / "last.ckpt").mkdir()
    expected = r"not a readable checkpoint: Is a directory\. Remove it to go on from iteration_0+\.ckpt, at iteration 0"
    with pytest.raises(UserError, match=expected):
        checkpoints.read(checkpoints.latest(folder))


def test_memory_does_not_grow_with_the_iterations_between_rows(fit, tmp_path, monkeypatch):
    """Outputs of all iterations since the last row were kept: with `log_every=1000000` as many as there are."""
    clock, kept = iter(range(10_000)), []
    monkeypatch.setattr(block, "SECONDS", 0.2)
    monkeypatch.setattr(block, "monotonic", lambda: 0.05 * next(clock))

    class Watch(Save):
        __module__ = "ganduel.callback.save"

        def on_train_batch_end(self, trainer, pl_module, *_):
            kept.append(len(pl_module.block_outputs))

    fit("trainer.max_steps=40", callbacks=[Statistics(1_000_000), Watch(tmp_path, 1_000_000, {})])
    assert sum(kept) == 40
    assert max(kept) <= 5
