"""Populations by their command lines."""

import json
import os
import signal
from pathlib import Path

import pytest
import yaml
from small import NETWORKS

from ganduel import checkpoint
from ganduel.population import memory, training
from ganduel.population.gan import StackedGAN

WORDS = ("data=ring8", *NETWORKS, "batch_size=8", "tracking=none", "callback=[statistics]", "trainer.accelerator=cpu")
DUEL = (*WORDS, "population.seeds=2", "population.grid={loss: [saturating, nonsaturating]}", "hydra.run.dir=all")
NAMES = [f"loss={form},seed={seed}" for form in ("saturating", "nonsaturating") for seed in (0, 1)]


def summaries(folder: Path) -> list[dict]:
    return [json.loads((folder / name / "summary.json").read_text()) for name in NAMES]


def test_a_population_leaves_a_run_for_each_member(command, tmp_path):
    outcome = command(*DUEL, "trainer.max_steps=6")
    assert outcome.code == 0, outcome.err
    assert "4 members of" in outcome.err + outcome.out
    assert "4 of 4 members finished" in outcome.err
    assert "ganduel compare" in outcome.err
    folder = tmp_path / "all"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*NAMES, "population.json", "train.log"])
    known = json.loads((folder / "population.json").read_text())
    assert known == {"members": NAMES, "status": "finished", "reason": None}
    for name, summary in zip(NAMES, summaries(folder), strict=True):
        assert (summary["status"], summary["iteration"]) == ("finished", 6)
        config = yaml.safe_load((folder / name / "config.yaml").read_text())
        assert config["run"]["overrides"][-2:] == name.split(",")
        assert config["population"] == {"seeds": None, "grid": None, "processes": "auto"}
    ids = {yaml.safe_load((folder / name / "config.yaml").read_text())["run"]["id"] for name in NAMES}
    assert len(ids) == 4


@pytest.mark.slow
def test_the_same_command_again_goes_on_with_what_has_not_ended(command, tmp_path, monkeypatch):
    """One has been made longer alone, two are at iteration 4, and one was killed before its first checkpoint."""
    command(*DUEL, "trainer.max_steps=4")
    folder = tmp_path / "all"
    assert command(f"resume='{folder / NAMES[0]}'", "trainer.max_steps=8").code == 0  # alone
    for lost in ("checkpoints/last.ckpt", "checkpoints/iteration_00000000.ckpt", "summary.json"):
        (folder / NAMES[2] / lost).unlink()
    trained = []
    train = training.train_members
    monkeypatch.setattr(
        training, "train_members", lambda specs, *a: trained.extend(s.name for s in specs) or train(specs, *a)
    )
    outcome = command(*DUEL, "trainer.max_steps=8")
    assert outcome.code == 0, outcome.err
    assert trained == NAMES[1:]
    assert [summary["iteration"] for summary in summaries(folder)] == [8] * 4


@pytest.mark.slow
def test_a_population_goes_on_by_resume(command, tmp_path):
    command(*DUEL, "trainer.max_steps=4")
    assert "have ended. Give a larger trainer.max_steps" in command("resume=all").err
    outcome = command("resume=all", "trainer.max_steps=7", "population.processes=1")
    assert outcome.code == 0, outcome.err
    assert [summary["iteration"] for summary in summaries(tmp_path / "all")] == [7] * 4
    assert "contradicts" in command("resume=all", "trainer.max_steps=9", "batch_size=16").err
    for damaged in ('{"members": ["', '{"members": 3}'):
        (tmp_path / "all" / "population.json").write_text(damaged)
        assert "all has lost the names of its members. The command that it" in command("resume=all").err
    assert [summary["iteration"] for summary in summaries(tmp_path / "all")] == [7] * 4


@pytest.mark.slow
def test_a_signal_ends_the_program_with_its_number(command, tmp_path, monkeypatch):
    iterate = StackedGAN.iterate

    def signalled(self, t):
        if t == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return iterate(self, t)

    monkeypatch.setattr(StackedGAN, "iterate", signalled)
    assert command(*DUEL, "trainer.max_steps=50", "log_every=5").code == 128 + signal.SIGTERM
    assert [summary["status"] for summary in summaries(tmp_path / "all")] == ["stopped"] * 4
    assert json.loads((tmp_path / "all" / "population.json").read_text())["status"] == "stopped"
    steps = {checkpoint.read(p)["global_step"] for p in (tmp_path / "all").glob("*/checkpoints/last.ckpt")}
    assert len(steps) == 1  # the end of the block in which it came


@pytest.mark.slow
def test_one_that_diverges_is_reported_at_the_end(command, tmp_path):
    """SGD with a rate of 1e30, over the other of 0.01."""
    over = "population.grid={optimizer.generator.lr: [0.01, 1e30]}"
    outcome = command(*WORDS, "optimizer=sgd", over, "trainer.max_steps=30", "log_every=10", "hydra.run.dir=all")
    assert outcome.code == 1
    assert "1 of 2 members finished" in outcome.err
    assert "optimizer.generator.lr=1e+30,seed=0: diverged: " in outcome.err
    assert outcome.err.splitlines()[-1] == "error: 1 of 2 members did not finish; the lines above say why."
    known = json.loads((tmp_path / "all" / "population.json").read_text())
    assert (known["status"], known["reason"]) == ("failed", "1 of 2 members did not finish")


def test_too_many_members_are_refused_before_any_begins(command, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 20_000_000)
    outcome = command(*WORDS, "population.seeds=100000", "hydra.run.dir=all")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1].startswith("error: 100000 members of 3.9 MB each do not fit into the 20.0 MB")
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("trainer.precision=16-mixed",), "trainer.precision=16-mixed has a loss scale"),
        (("population.grid={data: [ring8, gaussian1d]}",), "samples of one shape"),
        (("population.grid={loss: [saturatin]}",), "Did you mean saturating"),
        (("population.grid={los: [a]}",), "los is not an option"),
    ],
)
def test_errors_are_one_line(command, words, says):
    outcome = command(*WORDS, "population.seeds=2", "trainer.max_steps=2", *words)
    assert outcome.code == 1
    assert says in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err


def test_a_launchers_ranks_are_refused(command, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "give trainer.devices=8" in command(*WORDS, "population.seeds=2").err


def test_the_objective_is_the_mean_over_members():
    found = {name: {"metrics": {"loss/g": value}} for name, value in (("a", 1.0), ("b", 4.0))}
    assert training.mean_objective("loss/g", found) == 2.5
    assert training.mean_objective(None, found) is None


@pytest.mark.slow
def test_a_sweep_may_be_of_populations(command, tmp_path):
    outcome = command("-m", *WORDS, "k=1,2", "population.seeds=2", "trainer.max_steps=2", "hydra.sweep.dir=sweep")
    assert outcome.code == 0, outcome.err
    assert "2 of 2 runs finished" in outcome.err
    assert len(list((tmp_path / "sweep").glob("*/seed=*/summary.json"))) == 4
