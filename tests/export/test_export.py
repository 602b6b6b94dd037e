"""A run's generator as a folder: read back to the same bits, in every format, or not there at all."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from stored_runs import save_whole

import ganduel
from ganduel.errors import UserError
from ganduel.export.export import WRITERS, export


@pytest.fixture
def checkpoint(tiny, tmp_path):
    return save_whole(tmp_path / "a.ckpt", tiny("data.dir=/home/me/digits"), (1, 28, 28))


@pytest.mark.parametrize("format", ["safetensors", "hub"])
def test_what_is_loaded_gives_the_same_samples(checkpoint: Path, tmp_path: Path, format):
    line = export(checkpoint, format, tmp_path / "out")
    assert line.endswith("at iteration 7, 64 samples of what was written are the same to the bit")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"model.safetensors", "config.json", "README.md", "samples.png"}
    again, before = ganduel.load(tmp_path / "out"), ganduel.load(checkpoint)
    assert torch.equal(again.sample(100, seed=3), before.sample(100, seed=3))
    assert (again.iteration, again.name) == (7, "G itself (the run keeps no average)")
    with Image.open(tmp_path / "out" / "samples.png") as picture:
        assert picture.size == (238, 238)


def test_what_was_exported_can_be_exported_again(checkpoint: Path, tmp_path: Path):
    export(checkpoint, "safetensors", tmp_path / "one")
    export(tmp_path / "one", "safetensors", tmp_path / "two")
    files = [tmp_path / name / "model.safetensors" for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_it_has_no_paths_of_the_machine(checkpoint: Path, tmp_path: Path):
    export(checkpoint, "safetensors", tmp_path / "out")
    for name in ("config.json", "README.md"):
        assert "/home/me" not in (tmp_path / "out" / name).read_text()
    config = json.loads((tmp_path / "out" / "config.json").read_text())["config"]
    assert {"loss", "model", "data", "seed"} <= config.keys()
    assert not {"run", "trainer", "tracking"} & config.keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"push": "me/gan"}, r"--push me/gan is for --format hub\."),
        ({"out": "taken"}, r"-o .*taken is there already, and not empty\. Name a new folder\."),
        ({"out": "."}, r"-o \. has no name\. Name a new folder\."),  # ended in a ValueError where it was empty
        ({"path": "nowhere"}, r"nowhere does not exist\. Give the folder of a run, or a checkpoint in it\."),
    ],
)
def test_user_errors_leave_nothing(checkpoint: Path, tmp_path: Path, monkeypatch, arguments, message):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").touch()
    before = sorted(tmp_path.rglob("*"))
    whole = {"path": checkpoint, "format": "safetensors", "out": "new"} | arguments
    whole["path"], whole["out"] = Path(whole["path"]), Path(whole["out"])
    whole["out"] = whole["out"] if whole["out"] == Path() else tmp_path / whole["out"]
    with pytest.raises(UserError, match=message):
        export(**whole)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_format_that_fails_leaves_nothing(checkpoint: Path, tmp_path: Path, monkeypatch):
    def fail(source, folder):
        (folder / "half").touch()
        raise UserError("it cannot be.")

    monkeypatch.setitem(WRITERS, "onnx", fail)
    with pytest.raises(UserError, match="it cannot be"):
        export(checkpoint, "onnx", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]
