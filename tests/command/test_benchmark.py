"""`ganduel benchmark`: what it hands to the script, which has tests of its own, and what it says of the results."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ganduel.command import benchmark as module
from ganduel.command.benchmark import benchmark
from ganduel.errors import UserError

TIMES = {"ours": 10.0, "ours_bf16": 8.0, "hand_tuned": 9.0, "matmuls": 6.0, "pytorch_gan": 18.0}
RATIOS = {"hand_tuned": 1.125, "matmuls": 1.7, "pytorch_gan": 0.5}


@pytest.fixture
def script(monkeypatch):
    """Stands for scripts/benchmark.py; keeps the words that it gets."""
    words = []

    def main(arguments):
        words.extend(arguments)
        populations = {"ring8, 32 members": {"ratio": 5.26}} if "--population" in arguments else {}
        return {"step": {"64": TIMES}, "ratio": {"64": {"ours": RATIOS}}, "population": populations}

    monkeypatch.setattr(module, "import_module", lambda name: SimpleNamespace(main=main))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return words


def test_words_and_sentence(script, tmp_path, capsys):
    benchmark([64, 256], rounds=2, iterations=5, device="cpu", out=tmp_path / "a.json")
    expected = "--batch 64 256 --rounds 2 --iterations 5 --device cpu --out"
    assert script == [*expected.split(), str(tmp_path / "a.json")]
    line = "batch 64: 10.00 ms per iteration, 1.12 times the hand-tuned loop, 2.00 times as fast as PyTorch-GAN's\n"
    assert capsys.readouterr().out == line


def test_a_population_is_a_sentence_of_its_own(script, capsys):
    benchmark([64], 2, 5, "cpu", population=["ring8:32"])
    assert script[-2:] == ["--population", "ring8:32"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "ring8, 32 members: 5.3 times as fast together as one after another"


def test_picture_has_a_bar_for_each_loop(script, tmp_path, capsys):
    """Two of ours in blue and three others in grey: blue covers 18 of 51 milliseconds."""
    benchmark([64], 1, 1, "cpu", picture=tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    blue, grey = ((pixels == shade).all(-1).sum() for shade in ((0, 0x72, 0xB2), (0x7F, 0x7F, 0x7F)))
    assert blue / (blue + grey) == pytest.approx(18 / 51, abs=0.02)
    assert str(tmp_path / "b.png") in capsys.readouterr().out


def test_user_errors(script, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"--picture x.bmp says no format"):
        benchmark([64], 1, 1, "cpu", picture=Path("x.bmp"))
    with pytest.raises(UserError, match="take numbers from 1"):
        benchmark([64], 0, 1, "cpu")
    monkeypatch.setattr(module, "SCRIPTS", tmp_path)
    with pytest.raises(UserError, match="Use it from a checkout"):
        benchmark([64], 1, 1, "cpu")
