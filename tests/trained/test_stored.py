"""What is not whole in an exported folder is said in one line."""

import json
from pathlib import Path

import pytest
from stored_runs import save_whole

import ganduel
from ganduel.errors import UserError
from ganduel.export.export import export
from ganduel.trained.stored import is_exported


@pytest.fixture
def folder(tiny, tmp_path: Path) -> Path:
    export(save_whole(tmp_path / "a.ckpt", tiny(), (1, 28, 28)), "safetensors", tmp_path / "out")
    return tmp_path / "out"


def edited(folder: Path, **values) -> Path:
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**about, **values}))
    return folder


def test_an_exported_folder_is_known_by_its_weights(folder: Path):
    assert is_exported(folder)
    assert not is_exported(folder.parent)


def test_faults(folder: Path):
    with pytest.raises(UserError, match=r"out was exported with one set of weights\. Leave out live\."):
        ganduel.load(folder, live=True)
    with pytest.raises(UserError, match=r"out is of another version of ganduel, 9\.9\. Install that\."):
        ganduel.load(edited(folder, format=2, version="9.9"))
    with pytest.raises(UserError, match=r"out is no whole exported generator: .* is missing or not what it should be"):
        ganduel.load(edited(folder, format=1, shape=3))
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match="out is no whole exported generator"):
        ganduel.load(folder)


def test_a_strangers_class_is_refused(folder: Path):
    """Its config is data, as that of a checkpoint."""
    about = json.loads((folder / "config.json").read_text())
    about["config"]["model"]["generator"]["_target_"] = "os.system"
    with pytest.raises(UserError, match=r"names os\.system \(model\.generator\), no such part of ganduel"):
        ganduel.load(edited(folder, **about))


def test_weights_that_are_cut_off(folder: Path):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UserError, match="out is no whole exported generator"):
        ganduel.load(folder)
