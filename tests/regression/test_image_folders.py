"""Folders of images, in classes, that are no longer what a run was trained on."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from image_files import plain
from small import NETWORKS

from ganduel.cli import main

PETS = (*NETWORKS, "batch_size=4", "trainer.accelerator=cpu", "tracking=none", "callback=[statistics]", "data=images",
        "data.dir=pets", "data.size=[6,4]", "condition=concat")  # fmt: skip


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Eight cats and eight dogs."""
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(8):
            plain((i, 0, 255), size=(4, 6)).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"


@pytest.mark.slow
def test_other_classes_than_a_run_was_trained_on(command: Callable, pets: Path, tmp_path: Path, capsys):
    """A renamed or a new class was a number that the networks knew as another, or not at all.

    Labels are the folders' places in their order: a new first one moved all others by one.
    """
    assert command(*PETS, "trainer.max_steps=2", "hydra.run.dir=run").code == 0
    record = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["run"]["data"]
    assert record["classes"] == ["cat", "dog"]
    main(["sample", str(tmp_path / "run"), "--class", "dog", "--n", "2", "--out", str(tmp_path / "dogs.png")])
    assert "2 images" in capsys.readouterr().out
    (pets / "dog").rename(pets / "ant")
    refused = command("resume=run", "trainer.max_steps=4")
    assert refused.code == 1
    assert refused.err.splitlines()[-1] == (
        f"error: the run was trained on 16 samples of shape (3, 6, 4) (cat, dog), and {pets} now has the same in other "
        "classes (ant, cat). Say where those of the run are: data.dir=FOLDER."
    )
    (pets / "ant").rename(tmp_path / "dog")
    assert " and " + str(pets) + " now has 8." in command("resume=run", "trainer.max_steps=4").err
    (tmp_path / "dog").rename(pets / "dog")
    assert command("resume=run", "trainer.max_steps=4").code == 0
