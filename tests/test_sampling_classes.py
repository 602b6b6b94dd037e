"""Sampling from a generator that takes labels, and from one that takes none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganduel.checkpoint_io import AtomicCheckpointIO
from ganduel.command.sample import sample
from ganduel.errors import UserError
from ganduel.factory.part import build
from ganduel.image_grid import GAP
from ganduel.trained.generator import BATCH, BLOCK, STEPS
from ganduel.trained.load import load

SHAPE = (1, 5, 4)
CONDITIONAL = """
from ganduel.model.base import Generator

class Conditional(Generator):
    def __init__(self, shape, noise_dim, classes):
        super().__init__(noise_dim)
        self.shape, self.classes = shape, classes

    def forward(self, z, y):
        return (y / 127.5 - 1).view(-1, 1, 1, 1).expand(-1, *self.shape)
"""


def save(path: Path, node: dict[str, Any], weights: dict[str, torch.Tensor], **entry: Any) -> Path:
    entry = {"config": {"model": {"generator": node}}, "shape": list(SHAPE), **entry}
    AtomicCheckpointIO().save_checkpoint({"state_dict": weights, "global_step": 7, "ganduel": entry}, path)
    return path


def everything(path: Path, n: int, batch: int = BATCH) -> torch.Tensor:
    return torch.cat(list(load(path, device="cpu", trust=True).batches(n, batch=batch)))


@pytest.fixture
def conditional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of a generator with 7 classes; all pixels of its samples have the class as their value."""
    (tmp_path / "conditional_gan.py").write_text(CONDITIONAL)
    monkeypatch.syspath_prepend(tmp_path)
    node = {"_target_": "conditional_gan.Conditional", "noise_dim": 6}
    return save(tmp_path / "c.ckpt", node, {}, format=2, classes=7)


@pytest.mark.parametrize("batch", [10, BATCH, BLOCK])
def test_the_class_of_sample_i_is_i_modulo_the_classes(conditional: Path, batch: int) -> None:
    """Whatever the batch, and across blocks."""
    assert everything(conditional, 1100, batch)[:, 0, 0, 0].tolist() == [i % 7 for i in range(1100)]


def test_a_walk_keeps_its_class(conditional: Path, tmp_path: Path) -> None:
    sample(conditional, tmp_path / "w.png", n=9, interpolate=True, device="cpu", trust=True)
    with Image.open(tmp_path / "w.png") as image:
        corners = np.asarray(image)[:: SHAPE[1] + GAP, :: SHAPE[2] + GAP]
    assert corners.tolist() == [[i % 7] * STEPS for i in range(9)]
    sample(conditional, tmp_path / "w.gif", n=9, interpolate=True, device="cpu", trust=True)
    with Image.open(tmp_path / "w.gif") as gif:
        corners = np.asarray(gif.convert("L"))[:: SHAPE[1] + GAP, :: SHAPE[2] + GAP].astype(int)
        assert getattr(gif, "n_frames", 1) == 1, "equal frames, which Pillow merges"
    assert np.abs(corners.flatten() - np.arange(9) % 7).max() <= 1


def test_a_class_of_ones_own(conditional: Path, tmp_path: Path) -> None:
    sample(conditional, tmp_path / "s.npz", n=9, device="cpu", trust=True, label="3")
    assert set(np.load(tmp_path / "s.npz")["samples"].flatten().tolist()) == {3}


def test_a_grid_has_a_row_for_each_class(conditional: Path, tmp_path: Path) -> None:
    """Of 24 samples of 7 classes 21 are shown, three in a row; with one class the grid is as square as any."""
    sample(conditional, tmp_path / "s.png", n=24, device="cpu", trust=True)
    with Image.open(tmp_path / "s.png") as picture:
        pixels = np.asarray(picture)
    _, height, width = SHAPE
    assert pixels.shape[:2] == (7 * (height + 2) - 2, 3 * (width + 2) - 2)
    assert pixels[:: height + 2, :: width + 2].tolist() == [[c] * 3 for c in range(7)]


def test_a_class_by_the_name_that_its_data_have(conditional: Path, tmp_path: Path) -> None:
    """A name comes before a number: a folder may be called 0."""
    named = tmp_path / "named.ckpt"
    config = {"model": {"generator": {"_target_": "conditional_gan.Conditional", "noise_dim": 6}}}
    config["run"] = {"data": {"classes": ["ant", "bee", "0"]}}
    save(named, {}, {}, format=2, classes=3, config=config)
    for label, number in {"bee": 1, "0": 2, "2": 2}.items():
        sample(named, tmp_path / "s.npz", n=2, device="cpu", trust=True, label=label)
        assert (np.load(tmp_path / "s.npz")["samples"] == number).all()
    with pytest.raises(UserError, match=r"class beee: there are 3 classes, 0 to 2\. Did you mean bee\?"):
        sample(named, tmp_path / "s.npz", device="cpu", trust=True, label="beee")


@pytest.mark.parametrize(
    ("label", "message"),
    [("7", r"class 7: there are 7 classes, 0 to 6\."), ("-1", "class -1: "), ("cat", "class cat: ")],
)
def test_a_class_that_does_not_exist(conditional: Path, tmp_path: Path, label: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        sample(conditional, tmp_path / "s.npz", device="cpu", trust=True, label=label)


@pytest.mark.parametrize("entry", [{"format": 1}, {"format": 2, "classes": None}, {"format": 2, "classes": 3}])
def test_classes_go_only_to_a_generator_that_takes_them(tmp_path: Path, entry: dict[str, Any]) -> None:
    """Format 1 says nothing of classes."""
    node = {"_target_": "ganduel.model.mlp.MLPGenerator", "noise_dim": 6, "hidden": [8]}
    net = build(node, shape=SHAPE)
    weights = {f"generator.{key}": value for key, value in net.state_dict().items()}
    source = load(save(tmp_path / "a.ckpt", node, weights, **entry), device="cpu")
    z = torch.randn(3, 6)
    assert torch.equal(source.generator(z), net.eval()(z))
