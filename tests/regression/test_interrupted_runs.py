"""Runs whose data have moved or changed, that were killed at an awkward moment, or that are to become longer."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from small import NETWORKS, SMALL

from ganduel.cli import main
from ganduel.data import images
from ganduel.errors import UserError
from ganduel.run.resume import Remaining, remaining_work
from ganduel.tracking.files import rows

RING = (*SMALL, "data=ring8", "tracking=none", "callback=[statistics]")
PHOTOS = (*NETWORKS, "batch_size=4", "trainer.accelerator=cpu", "tracking=none", "callback=[statistics]",
          "data=images", "data.dir=photos", "data.size=8")  # fmt: skip
PIXELS = ("metric=[frechet]", "metric.frechet.features=pixels", "metric.frechet.samples=2")
EVALUATED = ("callback=[statistics,evaluate]", "metric=[modes]", "metric.modes.samples=100")


def draw(folder: Path, first: int, last: int) -> None:
    """Pictures of noise, each with its number as its seed and its name."""
    folder.mkdir(exist_ok=True)
    for i in range(first, last):
        pixels = np.random.default_rng(i).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


def content(folder: Path) -> dict[Path, bytes]:
    """All files of a run but train.log, which has each line that is printed."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "train.log"}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def same_weights(run: Path, other: Path) -> bool:
    first, second = weights(run), weights(other)
    return all(torch.equal(first[key], second[key]) for key in first)


def summary(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


@pytest.fixture
def refused(command: Callable) -> Callable[..., str]:
    """A function that runs a command which is to be refused without a change to the run; returns its line."""

    def run(folder: Path, *words: str) -> str:
        before = content(folder)
        outcome = command(*words)
        assert outcome.code == 1
        assert content(folder) == before
        return outcome.err

    return run


def test_a_finished_run_whose_pictures_have_moved(command, refused, tmp_path: Path, monkeypatch):
    """With the folder gone, `resume=RUN trainer.max_steps=…` made a failed run of it.

    With six pictures more it trained on in another order, and on what had been held out. Told where the pictures are,
    it goes on, from any folder.
    """
    photos, run = tmp_path / "photos", tmp_path / "run"
    draw(photos, 0, 20)
    assert command(*PHOTOS, "trainer.max_steps=9", "hydra.run.dir=whole").code == 0
    assert command(*PHOTOS, "trainer.max_steps=5", "hydra.run.dir=run").code == 0
    moved = photos.rename(tmp_path / "moved")
    line = refused(run, "resume=run", "trainer.max_steps=9")
    assert (
        line
        == f"error: the run's data were in {photos}, which is no folder now. Say where they are: data.dir=FOLDER.\n"
    )
    draw(photos, 0, 26)
    line = refused(run, "resume=run", "trainer.max_steps=9")
    assert line.startswith(
        f"error: the run was trained on 20 samples of shape (3, 8, 8), and {photos} now has 26. Say where"
    )
    monkeypatch.chdir(tmp_path.parent)
    assert command(f"resume={run}", "trainer.max_steps=9", f"data.dir={tmp_path.name}/moved").code == 0
    assert same_weights(run, tmp_path / "whole")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["dir"] == "photos", "as it was typed"
    assert config["run"]["data"]["dir"] == str(moved)
    again = {**config, "data": {**config["data"], "dir": str(moved)}, "run": {}}  # as a sweep asks for it
    assert remaining_work(run, again)[0] is Remaining.NOTHING, "refused for another data.dir"
    again["data"]["dir"] = str(photos)
    with pytest.raises(UserError, match=rf"run was trained on 20 samples .*, and {photos} now has 26\."):
        remaining_work(run, again)


def test_evaluate_finds_a_runs_pictures_from_any_folder(command, tmp_path: Path, monkeypatch, capsys):
    """And measured against other ones without a word."""
    draw(tmp_path / "photos", 0, 20)
    assert command(*PHOTOS, *PIXELS, "trainer.max_steps=1", "hydra.run.dir=run").code == 0
    monkeypatch.chdir("/")
    run, values = str(tmp_path / "run"), []
    main(["evaluate", run, "--json"])
    values.append(json.loads(capsys.readouterr().out)["runs"][0]["metrics"])
    moved = (tmp_path / "photos").rename(tmp_path / "moved")
    main(["evaluate", run, f"data.dir={moved}", "--json"])
    values.append(json.loads(capsys.readouterr().out)["runs"][0]["metrics"])
    assert values[0] == values[1] != {}
    draw(moved, 20, 26)
    with pytest.raises(SystemExit):
        main(["evaluate", run, f"data.dir={moved}"])
    assert f"{run} was trained on 20 samples of shape (3, 8, 8), and {moved} now has 26." in capsys.readouterr().err


def test_pictures_are_read_once_for_a_number_of_epochs(command, tmp_path: Path, monkeypatch):
    """They were decoded twice, to count the iterations of an epoch and to train, and each line on them came twice."""
    loads = []
    monkeypatch.setattr(images, "load", lambda *a, load=images.load: loads.append(a) or load(*a))
    draw(tmp_path / "photos", 0, 8)
    assert command(*PHOTOS, "data.held_out=0.0", "trainer.max_epochs=1", "hydra.run.dir=run").code == 0
    assert (len(loads), summary(tmp_path / "run")["iteration"]) == (1, 2)
    assert command("resume=run", "trainer.max_epochs=2").code == 0
    assert (len(loads), summary(tmp_path / "run")["iteration"]) == (2, 4)


@pytest.mark.slow
def test_a_population_whose_pictures_are_gone(command, refused, tmp_path: Path):
    """Each finished member became a failed one. Told where they are, it ends where nothing but summaries is missing."""
    folders = [tmp_path / "many" / f"seed={seed}" for seed in (0, 1)]
    draw(tmp_path / "photos", 0, 20)
    words = ("population.seeds=2", "population.processes=1", "trainer.max_steps=2", "hydra.run.dir=many")
    assert command(*PHOTOS, *words).code == 0
    (tmp_path / "photos").rename(tmp_path / "moved")
    assert "which is no folder now" in refused(tmp_path / "many", "resume=many", "trainer.max_steps=3")
    metrics = [summary(folder)["metrics"] for folder in folders]
    for folder in folders:
        os.unlink(folder / "summary.json")
    assert command("resume=many", "data.dir=moved").code == 0
    assert [summary(folder)["metrics"] for folder in folders] == metrics


def test_a_run_killed_before_its_first_checkpoint(command, tmp_path: Path):
    """Its command said "holds a run already. Go on with it by resume=", and that said "has no checkpoint"."""
    begin = (*RING, "trainer.max_steps=4")
    assert command(*begin, "hydra.run.dir=whole").code == 0
    for folder, words in (("one", ["resume=one"]), ("other", [*begin, "hydra.run.dir=other"])):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.yaml").write_bytes((tmp_path / "whole" / "config.yaml").read_bytes())
        assert command(*words).code == 0
        assert same_weights(tmp_path / folder, tmp_path / "whole")
        assert summary(tmp_path / folder)["status"] == "finished"


def test_a_run_killed_after_its_last_checkpoint(command, tmp_path: Path):
    """It was "at iteration 4 of 4" and could never be finished. What a signal had left out is measured then."""
    run = tmp_path / "run"
    assert command(*RING, *EVALUATED, "trainer.max_steps=4", "hydra.run.dir=run").code == 0
    metrics, before = summary(run)["metrics"], rows(run / "metrics.jsonl")
    assert any(key.startswith("modes/") for key in metrics)
    (run / "summary.json").write_text('{"status": "fini')  # as a full disk may leave it
    assert command("resume=run").code == 0
    assert summary(run)["metrics"] == metrics
    assert rows(run / "metrics.jsonl") == before, "what has been measured is not measured twice"
    os.unlink(run / "summary.json")
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    checkpoint["callbacks"]["Evaluate"] = {"record": None, "evaluated": None}
    torch.save(checkpoint, run / "checkpoints" / "last.ckpt")
    left = [row for row in before if not any(key.startswith("modes/") for key in row)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in left))
    assert command("resume=run").code == 0
    assert (summary(run)["status"], summary(run)["iteration"]) == ("finished", 4)
    assert summary(run)["metrics"] == metrics


def test_a_schedule_that_leads_to_the_end_of_a_run_is_not_extended(command, refused, tmp_path: Path):
    """Beyond its end `linear` left the rate at 0 for good, and `cosine` led back up to the full rate."""
    assert command(*RING, "schedule=linear", "trainer.max_steps=3", "hydra.run.dir=run").code == 0
    line = refused(tmp_path / "run", "resume=run", "schedule=linear", "trainer.max_steps=6")
    keys = "schedule.discriminator.total_iters and schedule.generator.total_iters"
    assert line.startswith(f"error: resume=run ends at iteration 3: {keys} follow from trainer.max_steps")
    assert line.endswith("'callback=[statistics]' schedule=linear trainer.max_steps=6\n")
    assert line.count("\n") == 1


def test_a_one_cycle_schedule_ends_in_one_line(command, refused, tmp_path: Path):
    """It raised an error in the step after its last one: a stack trace, and a finished run that had failed."""
    one_cycle = "schedule.generator={_target_: torch.optim.lr_scheduler.OneCycleLR, max_lr: 0.01, total_steps: 3}"
    assert command(*RING, one_cycle, "trainer.max_steps=3", "hydra.run.dir=run").code == 0
    line = refused(tmp_path / "run", "resume=run", "trainer.max_steps=4")
    assert line.startswith(
        "error: schedule.generator: OneCycleLR ends after 3 iterations, and the run has trainer.max_s"
    )
    assert line.count("\n") == 1
