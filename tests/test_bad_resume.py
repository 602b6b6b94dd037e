"""Runs that cannot be resumed: one line that says why, and nothing in their folder changes."""

import shutil

import pytest
import torch
import yaml
from test_bad_input import one_line, tiny


def without_checkpoints(run):
    shutil.rmtree(run / "checkpoints")


def cut_off(run):
    for path in (run / "checkpoints").glob("*.ckpt"):
        path.write_bytes(path.read_bytes()[:500])


def of_another_model(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"]["generator"]["hidden"] = [9]
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def newer(run):
    path = run / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["ganduel"]["format"] = 99
    torch.save(checkpoint, path)


def of_an_older_checkpoint(run):
    path = run / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["ganduel"]["format"] -= 1
    torch.save(checkpoint, path)


def of_an_older_config(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    del config["engine"]
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def of_another_program(run):
    torch.save({"weights": 3}, run / "checkpoints" / "last.ckpt")


def no_config(run):
    (run / "config.yaml").write_text("seed: [")


RESUME = [
    (without_checkpoints, "trainer.max_steps=4", "has no checkpoint"),
    (cut_off, "trainer.max_steps=4", "is not a readable checkpoint"),
    (of_another_model, "trainer.max_steps=4", "holds another model than"),
    (newer, "trainer.max_steps=4", "has format 99, and this version of ganduel reads up to"),
    (of_an_older_checkpoint, "trainer.max_steps=4", "run was begun by an older version of ganduel: this version can"),
    (of_an_older_config, "trainer.max_steps=4", "run was begun by an older version of ganduel: this version can"),
    (of_another_program, "trainer.max_steps=4", "is a file of torch, but no checkpoint of ganduel"),
    (no_config, "trainer.max_steps=4", "config.yaml cannot be read"),
    (None, "trainer.max_steps=2", "is at iteration 2 of 2. Give a larger trainer.max_steps"),
    (None, "loss=saturating", "contradicts loss=saturating (the run has nonsaturating)"),
    (None, "seed=3", "contradicts seed=3 (the run has 0)"),
    (None, "k=2 batch_size=16", "contradicts k=2 (the run has 1), batch_size=16 (the run has 8)"),
]


@pytest.mark.usefixtures("untyped")
def test_runs_that_cannot_be_resumed(command, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert command(*tiny(f"hydra.run.dir={whole}")).code == 0
    for damage, words, message in RESUME:
        shutil.copytree(whole, run)
        if damage is not None:
            damage(run)
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "train.log"}
        line = one_line(command(f"resume={run}", *words.split()))
        assert message in line
        assert {path: path.read_bytes() for path in before} == before, "a refused resume changes nothing"
        shutil.rmtree(run)
