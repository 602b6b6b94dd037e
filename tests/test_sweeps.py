"""Many runs from one command: docs/sweeps.md."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from programs import Program

TRAIN = Path(__file__).parents[1] / "train.py"
TINY = [
    "tracking=none",
    "trainer.accelerator=cpu",
    "callback=[statistics]",
    "batch_size=8",
    "model.generator.hidden=[8]",
    "model.discriminator.hidden=[8]",
    "hydra.sweep.dir=sweep",
    "hydra.sweep.subdir=${hydra:job.num}",
]
SHORT = [*TINY, "trainer.max_steps=2"]


def launch(folder: Path, *words: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(TRAIN), "-m", *words]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def statuses(folder: Path) -> dict[str, str]:
    return {path.parent.name: json.loads(path.read_text())["status"] for path in folder.glob("*/summary.json")}


def says_which_failed(text: str) -> None:
    assert "sweep sweep: 2 of 3 runs finished" in text
    assert "  1: failed: k=0 must be at least 1." in text
    assert text.rstrip().endswith("error: 1 of the sweep's runs did not finish; the lines above say why.")


@pytest.mark.usefixtures("untyped")
def test_a_failing_run_does_not_stop_the_others(command, tmp_path):
    outcome = command("-m", "k=1,0,2", *SHORT)
    assert outcome.code == 1
    says_which_failed(outcome.err)
    assert statuses(tmp_path / "sweep") == {"0": "finished", "1": "failed", "2": "finished"}


@pytest.mark.slow
@pytest.mark.usefixtures("untyped")
def test_the_same_sweep_again_does_what_is_left(command, tmp_path):
    """Run 0 is finished, 1 was killed before its last checkpoint, 2 just before its summary, 3 before it began."""
    sweep, words = tmp_path / "sweep", ("-m", "seed=0,1,2,3", "experiment=duel", "loss=saturating", *SHORT)
    assert command(*words).code == 0
    ends = [(sweep / run / "metrics.jsonl").read_text() for run in "0123"]
    weights = {run: (sweep / run / "checkpoints" / "last.ckpt").stat().st_mtime_ns for run in "012"}
    for run in "123":
        (sweep / run / "summary.json").unlink()
    (sweep / "1" / "checkpoints" / "last.ckpt").unlink()
    shutil.rmtree(sweep / "3" / "checkpoints")
    outcome = command(*words)
    assert outcome.code == 0, outcome.err
    assert set(statuses(sweep).values()) == {"finished"}
    for run, state in {"0": "finished already", "1": "resumed", "2": "resumed"}.items():
        assert f"sweep/{run}: {state}" in outcome.out
    again = {run: (sweep / run / "checkpoints" / "last.ckpt").stat().st_mtime_ns for run in "012"}
    assert [run for run in "012" if again[run] != weights[run]] == ["1"]
    for run, before in zip("0123", ends, strict=True):
        after = (sweep / run / "metrics.jsonl").read_text()
        assert timeless(after) == timeless(before)


def timeless(text: str) -> list[dict]:
    rows = [json.loads(line) for line in text.splitlines()]
    return [
        {key: value for key, value in row.items() if key not in ("seconds", "speed/images_per_second")} for row in rows
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("untyped")
def test_another_run_in_the_way_is_refused_and_one_that_diverged_is_left(command, tmp_path):
    """The folders are numbered here, so that another sweep finds runs of other seeds in them."""
    assert command("-m", "seed=0,1", *SHORT).code == 0
    refused = command("-m", "seed=0,2", *SHORT)
    assert refused.code == 1
    assert "sweep/1 holds a run with other values of seed. Give this sweep a folder of its own:" in refused.err
    path = tmp_path / "sweep" / "1" / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": "diverged", "reason": "loss/d is NaN"}))
    outcome = command("-m", "seed=0,1", *SHORT)
    assert "sweep/1: diverged already" in outcome.out
    longer = command("-m", "seed=0", *TINY, "trainer.max_steps=3")
    assert "sweep/0: resumed" in longer.out
    assert json.loads((tmp_path / "sweep" / "0" / "summary.json").read_text())["iteration"] == 3


def installed(plugin: str) -> bool:
    try:
        return importlib.util.find_spec(f"hydra_plugins.{plugin}") is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "plugin"),
    [("joblib", "hydra_joblib_launcher"), ("submitit_local", "hydra_submitit_launcher"), ("ray", "hydra_ray_launcher")],
)
def test_a_failing_run_does_not_stop_the_others_side_by_side(tmp_path, launcher, plugin):
    if not installed(plugin):
        pytest.skip(f"{plugin} is not installed")
    process = launch(tmp_path, f"hydra/launcher={launcher}", "k=1,0,2", *SHORT)
    text = process.communicate()[0]
    assert process.returncode == 1
    says_which_failed(text)
    assert statuses(tmp_path / "sweep") == {"0": "finished", "1": "failed", "2": "finished"}


@pytest.mark.slow
@pytest.mark.skipif(not installed("hydra_joblib_launcher"), reason="the extra joblib is not installed")
def test_a_search_side_by_side(tmp_path):
    """Two trials at a time, each in a process of its own that reports to the study."""
    optuna = pytest.importorskip("optuna", reason="the extra search is not installed")
    process = launch(
        tmp_path,
        "hydra/sweeper=search",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "hydra.sweeper.n_jobs=2",
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.direction=maximize",
        "objective=loss/d",
        "optimizer.generator.lr=tag(log,interval(1e-4,1e-2))",
        *SHORT,
    )
    text = process.communicate()[0]
    assert process.returncode == 0, text
    assert list(statuses(tmp_path / "sweep").values()) == ["finished"] * 3
    storage = optuna.storages.journal.JournalFileBackend(str(tmp_path / "sweep" / "search.journal"))
    study = optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(storage))
    assert [list(trial.intermediate_values) for trial in study.trials] == [[1, 2]] * 3


@pytest.mark.slow
@pytest.mark.skipif(not installed("hydra_joblib_launcher"), reason="the extra joblib is not installed")
def test_a_signal_ends_runs_side_by_side_too(tmp_path):
    """SIGTERM to the sweep reaches its workers; none of them is left training."""
    process = launch(
        tmp_path,
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "seed=0,1,2",
        "trainer.max_steps=1000000",
        "log_every=1",
        *TINY,
    )
    rows = [tmp_path / "sweep" / run / "metrics.jsonl" for run in ("0", "1")]
    while not all(path.exists() for path in rows):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    text = process.communicate(timeout=60)[0]
    assert process.returncode == 143, text
    sizes = [path.stat().st_size for path in rows]
    time.sleep(1)
    assert [path.stat().st_size for path in rows] == sizes
    assert "stopped" in statuses(tmp_path / "sweep").values()


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_whole_sweep(tmp_path, signum):
    program = Program(tmp_path, "-m", "seed=0,1", "trainer.max_steps=1000000", "log_every=1", *TINY)
    rows = tmp_path / "sweep" / "0" / "metrics.jsonl"
    while not rows.exists():
        assert not program.ended(), program.printed()
        time.sleep(0.1)
    program.signal(signum)
    assert program.wait(60) == 128 + signum, program.printed()
    assert statuses(tmp_path / "sweep") == {"0": "stopped"}
    assert (tmp_path / "sweep" / "0" / "checkpoints" / "last.ckpt").exists()
