"""A run from its config to its folder: what it leaves, that observing changes nothing, and how it ends."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback, Trainer
from small import SMALL

from ganduel.errors import Diverged, UserError
from ganduel.gan import GAN
from ganduel.run import run
from ganduel.tracking.files import rows

WORDS = (*SMALL, "tracking=none", "callback=[statistics]")
COLUMNS = {
    "iteration", "images_seen", "loss/d", "loss/g", "d/real", "d/fake", "d/fake_g", "d/real_std", "d/fake_std",
    "d/accuracy_real", "d/accuracy_fake", "logit/real", "logit/fake", "logit/fake_g", "logit/real_std",
    "logit/fake_std", "grad/norm_d", "grad/norm_g", "weight/norm_d", "weight/norm_g", "lr/d", "lr/g",
    "speed/images_per_second", "seconds",
}  # fmt: skip


@pytest.fixture
def launch(compose: Callable[..., dict], tmp_path: Path) -> Callable[..., Path]:
    """Run a small config in a folder of the given name; returns the folder."""

    def start(name: str, *overrides: str) -> Path:
        folder = tmp_path / name
        values = compose(*WORDS, *overrides)
        values["run"] = {"choices": {"loss": "nonsaturating"}}
        run.fit(values, folder)
        return folder

    return start


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Do something at the end of a given iteration of the next runs, before any other callback."""

    def arrange(iteration: int, action: Callable[[Trainer], Any]) -> None:
        class Act(Callback):
            def on_train_batch_end(self, trainer, *_):
                if trainer.global_step == iteration:
                    action(trainer)

        build = run.Run.build

        def with_action(self, *arguments):
            build(self, *arguments)
            self.callbacks.insert(0, Act())

        monkeypatch.setattr(run.Run, "build", with_action)

    return arrange


@pytest.mark.parametrize("words", [(), ("population.seeds=2",)], ids=["alone", "a population"])
def test_the_precision_of_matmuls_is_that_of_the_run_while_it_lasts(command, monkeypatch, words):
    seen, iterate = [], GAN.iterate

    def watching(gan, t: int):
        seen.append(torch.get_float32_matmul_precision())
        return iterate(gan, t)

    monkeypatch.setattr(GAN, "iterate", watching)
    ended = command(*SMALL, *words, "tracking=none", "callback=[statistics]", "trainer.max_steps=2",
                    "trainer.matmul_precision=high")  # fmt: skip
    assert ended.code == 0
    assert seen == ["high", "high"]
    assert torch.get_float32_matmul_precision() == "highest"


def state(folder: Path, name: str = "last.ckpt") -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / name, weights_only=True)["state_dict"]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[key], second[key]) for key in first)


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def test_a_run_leaves_its_record(launch):
    folder = launch(
        "run", "trainer.max_steps=25", "log_every=10", "checkpoint_every=10", "callback=[statistics,sample_grid]"
    )
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml", "metrics.jsonl", "histograms.jsonl", "samples", "checkpoints", "summary.json",
    }  # fmt: skip
    metrics = rows(folder / "metrics.jsonl")
    assert [row["iteration"] for row in metrics] == [1, 10, 20, 25]
    assert [row["images_seen"] for row in metrics] == [8, 80, 160, 200]
    assert all(set(row) == COLUMNS for row in metrics)
    assert all(sum(row["d/real"]) == sum(row["d/fake"]) == 8 for row in rows(folder / "histograms.jsonl"))
    assert summary(folder)["status"] == "finished"
    assert summary(folder)["metrics"] == metrics[-1]
    assert summary(folder)["seconds"] == metrics[-1]["seconds"] > 0
    assert summary(folder)["device"] == "cpu"
    assert (summary(folder)["ranks"], summary(folder)["depends_on_ranks"]) == (1, False)
    assert summary(folder)["peak_memory"]["process"] > 1e8
    assert sorted(path.name for path in (folder / "samples").iterdir()) == [
        "iteration_00000000.png", "iteration_00000025.png", "progress.gif", "real.png",
    ]  # fmt: skip
    assert yaml.safe_load((folder / "config.yaml").read_text())["batch_size"] == 8


@pytest.mark.parametrize("k", [1, 2])
def test_images_seen_are_the_real_images_that_d_has_had(launch, k: int):
    folder = launch("run", "trainer.max_steps=4", f"k={k}", "log_every=1")
    assert [row["images_seen"] for row in rows(folder / "metrics.jsonl")] == [8 * k * n for n in (1, 2, 3, 4)]


def test_checkpoints_land_at_iteration_0_at_every_multiple_and_at_the_end(launch, monkeypatch):
    saved = []
    save = Trainer.save_checkpoint

    def watched(trainer, path, *arguments):
        saved.append((trainer.global_step, Path(path).name))
        save(trainer, path, *arguments)

    monkeypatch.setattr(Trainer, "save_checkpoint", watched)
    folder = launch("run", "trainer.max_steps=10", "checkpoint_every=4", "k=2")
    last = "last.ckpt"
    assert saved == [(0, "iteration_00000000.ckpt"), (4, last), (8, last), (10, last)]
    assert torch.load(folder / "checkpoints" / last, weights_only=True)["global_step"] == 10


def test_checkpoints_are_as_far_apart_as_the_config_says(tiny, tmp_path: Path):
    saves = []
    for name, words in (("given", ("checkpoint_every=7", "checkpoint_min_seconds=90")), ("default", ())):
        built = run.Run(tiny("tracking=none", *words), tmp_path / name)
        built.build()
        saves.append(built.callbacks[-1])
    assert [(save.every, save.min_seconds) for save in saves] == [(7, 90.0), (500, 10.0)]


def test_a_run_has_the_callbacks_of_its_config_between_its_own(tiny, images, tmp_path: Path):
    """The record begins first, then a look for what is not finite; a checkpoint is last.

    Under an fp16 scaler gradients do not count.
    """
    for precision, keys in (("32-true", 4), ("16-mixed", 2)):
        words = ("tracking=none", "callback=[statistics,sample_grid]", f"trainer.precision={precision}")
        built = run.Run(tiny(*words), tmp_path)
        built.build(images)
        assert [type(callback).__name__ for callback in built.callbacks] == [
            "Begin", "Finite", "Statistics", "SampleGrid", "Save",
        ]  # fmt: skip
        assert len(built.callbacks[1].keys) == keys
        assert built.loggers == [built.record]
        assert built.gan.batches.data is images


def test_observing_leaves_training_bit_identical(launch):
    """Rows, histograms and grids every iteration, or next to none of them."""
    watched = launch("watched", "trainer.max_steps=8", "log_every=1", "callback=[statistics,sample_grid]",
                  "callback.sample_grid.first=1", "callback.sample_grid.growth=1.1")  # fmt: skip
    unseen = launch("unseen", "trainer.max_steps=8", "log_every=100", "callback=[]")
    assert same(state(watched), state(unseen))


def test_the_loss_of_d_is_logged_without_the_penalty(launch):
    """The first row is taken before any update, so that only the penalty knows of gamma."""
    plain = launch("plain", "trainer.max_steps=1")
    steep = launch("steep", "trainer.max_steps=1", "penalty=r1", "penalty.r1.gamma=1000.0")
    first, second = (rows(folder / "metrics.jsonl")[0] for folder in (plain, steep))
    assert "loss/penalty_d" not in first
    assert second["loss/penalty_d"] > 0.1
    assert "loss/penalty_g" not in second
    assert first["loss/d"] == second["loss/d"]
    assert first["loss/d"] == pytest.approx(1.386, abs=0.3)  # 2 log 2 where D knows nothing


@pytest.mark.parametrize("network", ["discriminator", "generator"])
def test_a_gradient_that_is_not_finite_ends_the_run_and_is_named(launch, monkeypatch, tmp_path, network):
    """A hook makes one gradient NaN in iteration 7; the checkpoint of iteration 6 stays, though 8 was due."""
    start = GAN.on_fit_start

    def poisoned(gan: GAN):
        start(gan)
        weight = next(getattr(gan, network).parameters())
        weight.register_hook(lambda g: g * float("nan") if gan.global_step == 6 else g)

    monkeypatch.setattr(GAN, "on_fit_start", poisoned)
    with pytest.raises(Diverged, match=f"^{network[0].upper()}'s gradient became nan in iteration 7; "):
        launch("run", "trainer.max_steps=20", "log_every=10", "checkpoint_every=3")
    folder = tmp_path / "run"
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 6
    assert all(x.isfinite().all() for x in saved["state_dict"].values())
    assert summary(folder)["status"] == "diverged"
    assert "iteration 7" in summary(folder)["reason"]
    assert [row["iteration"] for row in rows(folder / "metrics.jsonl")] == [1]


def test_a_loss_that_is_not_finite_ends_the_run_and_is_named(launch, monkeypatch):
    from ganduel.loss.nonsaturating import NonSaturating

    calls = []
    plain = NonSaturating.generator

    def infinite(loss, real, fake):
        calls.append(None)
        return plain(loss, real, fake) + (float("inf") if len(calls) == 5 else 0.0)

    monkeypatch.setattr(NonSaturating, "generator", infinite)
    with pytest.raises(Diverged, match=r"^G's loss became inf in iteration 5; "):
        launch("run", "trainer.max_steps=20")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_the_run_after_the_iteration_with_a_checkpoint(launch, at, tmp_path, signum):
    before = signal.getsignal(signum)
    at(7, lambda trainer: os.kill(os.getpid(), signum))
    with pytest.raises(SystemExit) as ended:
        launch("run", "trainer.max_steps=1000", "checkpoint_every=500")
    assert ended.value.code == 128 + signum
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] in (7, 8)  # the handler runs between two bytecodes
    assert summary(tmp_path / "run")["status"] == "stopped"
    assert summary(tmp_path / "run")["reason"] == signum.name
    assert signal.getsignal(signum) == before


def test_fp16_on_a_cpu_is_refused(launch):
    """Lightning trains in bfloat16 instead, and the record would say 16-mixed."""
    line = r"^trainer\.precision=16-mixed: there is no training in fp16 on a CPU\. Use trainer\.precision=bf16-mixed\.$"
    with pytest.raises(UserError, match=line):
        launch("run", "trainer.precision=16-mixed")


def test_a_batch_norm_needs_two_samples_on_each_rank(tiny, images, tmp_path: Path):
    """Seen when the run is built, not by each rank in its first iteration."""
    norm = "model.discriminator.norm=batch"
    run.Run(tiny("tracking=none", norm, "trainer.devices=2"), tmp_path).build(images)
    with pytest.raises(
        UserError, match=r"^D \(MLPDiscriminator\) fails on a minibatch of shape \(1, 1, 2, 3\): .*fewer ranks"
    ):
        run.Run(tiny("tracking=none", norm, "trainer.devices=4"), tmp_path).build(images)


def test_a_logger_of_lightnings_writes_to_the_runs_folder(tiny, images, tmp_path: Path):
    """It is told where to write, and that the run has ended; ours alone take the config."""
    config = tiny()
    config["tracking"] = {"_target_": "lightning.pytorch.loggers.CSVLogger", "name": "csv"}
    built = run.Run(config, tmp_path)
    built.build(images)
    built.loggers[1].log_metrics({"loss/d": 0.5}, step=1)
    built.finish({"status": "finished", "reason": None}, "cpu")
    assert (tmp_path / "csv" / "version_0" / "metrics.csv").read_text() == "loss/d,step\n0.5,1\n"


@pytest.mark.slow
def test_a_run_may_be_measured_in_epochs(command: Callable, tmp_path: Path):
    words = ("batch_size=20000", "model.generator.hidden=[2]", "model.discriminator.hidden=[2]", "tracking=none")
    assert (
        command(*words, "trainer.max_epochs=2", "schedule=linear", "hydra.run.dir=run", "callback=[statistics]").code
        == 0
    )
    assert summary(tmp_path / "run")["iteration"] == 6
    values = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert values["schedule"]["generator"]["total_iters"] == 6
