"""Resuming a run: the same bits as if it had never stopped, complete logs, and nothing contradicted."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback
from programs import Program
from small import SMALL

from ganduel import checkpoint
from ganduel.errors import UserError
from ganduel.run import resume, run
from ganduel.tracking.files import read_config, rows

WORDS = (*SMALL, "tracking=none", "callback=[statistics]", "log_every=7")
CLOCK = ("seconds", "speed/images_per_second")


class Killed(BaseException):
    """Ends a run in this process as SIGKILL would: without a checkpoint or a summary."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Kill the next run after the given iteration, once its row is written and before a checkpoint is."""

    def arrange(iteration: int) -> None:
        class Kill(Callback):
            def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
                if trainer.global_step == iteration:
                    raise Killed

        build = run.Run.build
        context = pytest.MonkeyPatch()

        def once(new: run.Run, *arguments: Any) -> None:
            context.undo()
            build(new, *arguments)
            new.callbacks.insert(-1, Kill())  # before the one that saves

        context.setattr(run.Run, "build", once)
        monkeypatch.setattr("ganduel.tracking.run_logger.RunLogger.finish", lambda *_: None)

    return arrange


def load(folder: Path, name: str = checkpoint.LAST) -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / name, weights_only=True)


def difference(first: Any, second: Any, path: str = "") -> list[str]:
    """Where two checkpoints differ, in any bit."""
    if isinstance(first, torch.Tensor):
        return [] if torch.equal(first, second) else [path]
    if isinstance(first, dict):
        if first.keys() != second.keys():
            return [path]
        return [d for key in first for d in difference(first[key], second[key], f"{path}/{key}")]
    if isinstance(first, list | tuple):
        if len(first) != len(second):
            return [path]
        return [d for i, (a, b) in enumerate(zip(first, second, strict=True)) for d in difference(a, b, f"{path}/{i}")]
    return [] if first == second else [path]


def training_state(saved: dict[str, Any]) -> dict[str, Any]:
    """The part of a checkpoint that training depends on."""
    return {key: saved[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step")}


def without_clock(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in CLOCK} for row in metrics]


@pytest.mark.parametrize("precision", ["32-true", pytest.param("64-true", marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_bit_identically(command, kill_at, tmp_path: Path, precision: str):
    """Killed after 19 of 30 iterations, checkpoint at 10: weights, average, optimizers, schedules and record agree."""
    words = (
        *WORDS,
        f"trainer.precision={precision}",
        "trainer.max_steps=30",
        "checkpoint_every=10",
        "k=2",
        "schedule=cosine",
        "clip.discriminator=0.5",
    )
    assert command(*words, "hydra.run.dir=whole").code == 0
    kill_at(19)
    with pytest.raises(Killed):
        command(*words, "hydra.run.dir=killed")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    assert load(killed)["global_step"] == 10
    assert [row["iteration"] for row in rows(killed / "metrics.jsonl")] == [1, 7, 14]
    assert command("resume=killed").code == 0
    assert difference(training_state(load(killed)), training_state(load(whole))) == []
    for name in ("metrics.jsonl", "histograms.jsonl"):
        assert without_clock(rows(killed / name)) == without_clock(rows(whole / name))
    assert [row["iteration"] for row in rows(killed / "metrics.jsonl")] == [1, 7, 14, 21, 28, 30]


def test_a_run_killed_before_its_first_checkpoint_goes_on_from_iteration_0(command, kill_at, tmp_path: Path):
    words = (*WORDS, "trainer.max_steps=8", "checkpoint_every=100")
    command(*words, "hydra.run.dir=whole")
    kill_at(4)
    with pytest.raises(Killed):
        command(*words, "hydra.run.dir=killed")
    assert command("resume=killed").code == 0
    assert difference(training_state(load(tmp_path / "killed")), training_state(load(tmp_path / "whole"))) == []


def test_a_finished_run_is_extended_by_a_larger_max_steps(command, tmp_path: Path):
    command(*WORDS, "trainer.max_steps=5", "hydra.run.dir=short")
    command(*WORDS, "trainer.max_steps=9", "hydra.run.dir=long")
    refused = command("resume=short")
    assert (refused.code, refused.err) == (
        1,
        "error: the run is at iteration 5 of 5. Give a larger trainer.max_steps to extend it.\n",
    )
    assert command("resume=short", "trainer.max_steps=9").code == 0
    assert difference(training_state(load(tmp_path / "short")), training_state(load(tmp_path / "long"))) == []
    values = yaml.safe_load((tmp_path / "short" / "config.yaml").read_text())
    assert values["trainer"]["max_steps"] == 9
    assert values["run"]["resumed"][0]["iteration"] == 5


def test_seconds_add_up_over_a_resume(command, tmp_path: Path):
    command(*WORDS, "trainer.max_steps=5", "hydra.run.dir=run")
    before = rows(tmp_path / "run" / "metrics.jsonl")[-1]["seconds"]
    command("resume=run", "trainer.max_steps=10")
    after = [row["seconds"] for row in rows(tmp_path / "run" / "metrics.jsonl")]
    assert after == sorted(after)
    assert after[-1] > before


def test_contradicting_overrides_are_refused_by_name_and_agreeing_ones_are_not(command):
    command(*WORDS, "trainer.max_steps=5", "seed=3", "hydra.run.dir=run")
    refused = command("resume=run", "seed=4", "loss=saturating", "k=1", "trainer.max_steps=6")
    assert refused.code == 1
    assert "seed=4 (the run has 3)" in refused.err
    assert "loss=saturating" in refused.err
    assert "k=1" not in refused.err
    refused = command("resume=run", "experiment=mnist_r1")
    assert refused.code == 1
    assert "experiment=mnist_r1" in refused.err
    assert command("resume=run", "seed=3", "loss=nonsaturating", "trainer.max_steps=6").code == 0


def test_a_resumed_run_writes_into_its_own_folder_only(command, tmp_path: Path):
    command(*WORDS, "trainer.max_steps=5", "hydra.run.dir=run")
    command("resume=run", "trainer.max_steps=6")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def without_engine(config: dict[str, Any]) -> None:
    del config["engine"]


def with_replay(config: dict[str, Any]) -> None:
    config["trainer"]["replay"] = "auto"


@pytest.mark.parametrize("make_older", [pytest.param(without_engine, marks=pytest.mark.slow), with_replay, None])
def test_a_run_of_an_older_version_is_not_resumed(command, tmp_path: Path, make_older):
    """By its config or its checkpoint's format, alone or in a sweep; nothing in its folder changes."""
    folder = tmp_path / "run"
    assert command(*WORDS, "trainer.max_steps=5", "hydra.run.dir=run").code == 0
    values = read_config(folder)
    if make_older is None:
        saved = load(folder)
        saved["ganduel"]["format"] = checkpoint.FORMAT - 1
        torch.save(saved, folder / "checkpoints" / checkpoint.LAST)
    else:
        older = read_config(folder)
        make_older(older)
        (folder / "config.yaml").write_text(yaml.safe_dump(older))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "train.log"}
    line = (
        "run was begun by an older version of ganduel: this version can compare, evaluate and sample it, but not resume"
    )
    refused = command("resume=run", "trainer.max_steps=9")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert line in refused.err
    with pytest.raises(UserError, match=line):
        resume.remaining_work(folder, values)
    assert {path: path.read_bytes() for path in before} == before


def test_what_remains_of_a_run(command, tmp_path: Path):
    """Nothing of one that is finished or diverged, all of one without a checkpoint or an end, the rest otherwise."""
    folder = tmp_path / "run"
    assert command(*WORDS, "trainer.max_steps=5", "hydra.run.dir=run").code == 0
    values = read_config(folder)
    longer = {**values, "trainer": {**values["trainer"], "max_steps": 9, "devices": 2}, "engine": "eager"}
    remaining = [resume.remaining_work(folder, config)[0] for config in (values, longer)]
    assert remaining == [resume.Remaining.NOTHING, resume.Remaining.REST]
    with pytest.raises(UserError, match="holds a run with other values of k, seed"):
        resume.remaining_work(folder, {**values, "seed": 7, "k": 2})
    for path in (folder / "checkpoints").iterdir():
        path.unlink()
    remaining = [resume.remaining_work(folder, config)[0] for config in (values, longer)]
    assert remaining == [resume.Remaining.NOTHING, resume.Remaining.REST], "it needs no checkpoint to have ended"
    (folder / "summary.json").unlink()
    assert resume.remaining_work(folder, values) == (resume.Remaining.ALL, {})


def start(folder: Path, *words: str) -> Program:
    return Program(folder.parent, *WORDS, f"hydra.run.dir={folder}", *words)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_sigkill_and_resume_give_the_same_bits(tmp_path: Path, ranks: int):
    """The real thing: another process, killed without warning in the middle of an epoch; on one rank and on two."""
    words = ("checkpoint_every=100", f"trainer.devices={ranks}", "k=2")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    program = start(killed, *words, "trainer.max_steps=100000")
    wait_for(lambda: (killed / "checkpoints" / "last.ckpt").exists() and len(rows(killed / "metrics.jsonl")) > 20)
    program.signal(signal.SIGKILL)
    assert program.wait() == -signal.SIGKILL
    done = load(killed)["global_step"]
    until = done + 60
    assert Program(tmp_path, f"resume={killed}", f"trainer.max_steps={until}").wait() == 0
    assert start(whole, *words, f"trainer.max_steps={until}").wait() == 0
    assert difference(training_state(load(killed)), training_state(load(whole))) == []
    assert without_clock(rows(killed / "metrics.jsonl"))[:-1] == without_clock(rows(whole / "metrics.jsonl"))[:-1]


@pytest.mark.slow
def test_sigkill_at_any_moment_leaves_a_checkpoint_that_loads(tmp_path: Path):
    """A checkpoint every iteration, so that most kills fall into a save."""
    for i in range(6):
        folder = tmp_path / str(i)
        program = start(folder, "checkpoint_every=1", "trainer.max_steps=100000", "model.generator.hidden=[2048,2048]")
        wait_for(lambda folder=folder: (folder / "checkpoints" / "last.ckpt").exists())
        time.sleep(0.05 + 0.037 * i)
        program.signal(signal.SIGKILL)
        program.wait()
        assert checkpoint.read(checkpoint.latest(folder))["global_step"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "ranks"), [(signal.SIGTERM, 1), (signal.SIGTERM, 2), (signal.SIGINT, 1), (signal.SIGUSR1, 2)]
)
def test_a_signal_to_the_program_saves_and_exits_with_128_and_its_number(tmp_path: Path, signum: int, ranks: int):
    """Sent to the first rank alone; the others follow."""
    folder = tmp_path / "run"
    program = start(folder, f"trainer.devices={ranks}", "trainer.max_steps=100000", "checkpoint_every=1000000")
    wait_for(lambda: len(rows(folder / "metrics.jsonl")) > 3)
    program.signal(signum)
    assert program.wait(60) == 128 + signum
    assert "Traceback" not in program.printed()
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["status"], summary["reason"]) == ("stopped", signal.Signals(signum).name)
    assert load(folder)["global_step"] == summary["iteration"]
