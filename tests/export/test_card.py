"""The card says what is known, and its code runs."""

import re
import warnings
from pathlib import Path

import pytest
import yaml
from golden import make_run
from stored_runs import save_whole

import ganduel
from ganduel.export.card import run_of, text
from ganduel.export.export import export


def card(checkpoint: Path, format="safetensors") -> str:
    return text(ganduel.load(checkpoint, device="cpu"), checkpoint, format, "out")


def rows(text: str) -> dict[str, str]:
    return {key.strip(): value.strip() for key, value in re.findall(r"(?m)^[|]([^|]*)[|](.*)[|]$", text)}


def test_what_the_run_was(tiny, tmp_path: Path):
    checkpoint = save_whole(tmp_path / "a.ckpt", tiny("penalty=[r1]", "augment=diffaugment", "seed=3"), (1, 28, 28))
    page = card(checkpoint)
    shown = rows(page)
    assert shown["data"] == "MNIST, samples of shape 1 × 28 × 28"
    assert shown["licence of the data"] == "CC BY-SA 3.0"
    assert (shown["loss"], shown["penalties"], shown["augmentation"]) == ("NonSaturating", "R1", "DiffAugment")
    assert shown["weights"].endswith(
        "after 7 iterations of Algorithm 1 (Goodfellow et al. 2014), batch 4, k = 1, seed 3"
    )
    assert "classes" not in shown
    front = yaml.safe_load(page.split("---")[1])
    assert front["library_name"] == "ganduel"
    assert front["pipeline_tag"] == "unconditional-image-generation"
    assert "have not been measured" in page


def test_licence_of_a_users_data_is_not_made_up(tiny, tmp_path: Path):
    config = tiny()
    config["data"] = {"_target_": "mine.Pictures"}
    shown = rows(card(save_whole(tmp_path / "a.ckpt", config, (1, 28, 28))))
    assert shown["licence of the data"] == "not known to ganduel: that of whoever has them"


def test_metrics_are_those_of_these_weights(tiny, tmp_path: Path):
    """A run's last row is of its last iteration; a checkpoint of another one has no metrics."""
    for rows_of_run, iteration in ((3, 100), (2, 50)):
        folder = make_run(tmp_path / str(iteration), rows=rows_of_run)
        checkpoint = save_whole(folder / "checkpoints" / "last.ckpt", tiny(), (1, 28, 28))
        source = ganduel.load(checkpoint, device="cpu")
        assert run_of(checkpoint, source) is None
        object.__setattr__(source, "iteration", iteration)
        shown = rows(text(source, folder, "safetensors", "out"))
        assert shown["`fd/mnist_cnn_10k`"] == "40 | 2"


@pytest.mark.parametrize(("format", "classes"), [("safetensors", None), ("safetensors", 10), ("torchscript", 10)])
def test_its_code_runs(compose, tmp_path: Path, monkeypatch, format, classes):
    words = () if classes is None else ("condition=concat",)
    checkpoint = save_whole(tmp_path / "a.ckpt", compose("model.generator.hidden=[8]", *words), (1, 28, 28), classes)
    export(checkpoint, format, tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    code = re.search(r"(?s)```python\n(.*?)```", (tmp_path / "out" / "README.md").read_text())
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript
        exec(code[1], names)
    assert tuple(names["samples"].shape) == (64, 1, 28, 28)
