"""Checkpoints and run folders of someone else: whatever they name, nothing of it runs unless the user says so."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from omegaconf import OmegaConf

from ganduel import cli
from ganduel.checkpoint import FORMAT
from ganduel.errors import UserError
from ganduel.factory.part import build
from ganduel.run.resume import resumed_config

GENERATOR = {"_target_": "ganduel.model.mlp.MLPGenerator", "noise_dim": 2, "hidden": [3], "output": "identity"}
RING = {"_target_": "ganduel.data.ring8.Ring8"}


class Writes:
    """Writes the marker when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.write_text, (self.marker, "unpickled")


def path_of(marker: Path) -> dict[str, Any]:
    return {"_target_": "pathlib.Path", "_args_": [str(marker)]}


def written(marker: Path) -> dict[str, Any]:
    return {"_target_": "pathlib.Path.write_text", "_args_": [path_of(marker), "written"]}


def hub(marker: Path) -> dict[str, Any]:
    (marker.parent / "hubconf.py").write_text(f"open({str(marker)!r}, 'w').close()\ndef entry(): pass")
    folder = str(marker.parent)
    return {"_target_": "torch.hub.load", "repo_or_dir": folder, "model": "entry", "source": "local"}


def unpickled_by_torch(marker: Path) -> dict[str, Any]:
    torch.save(Writes(marker), marker.parent / "weights.pt")
    return {"_target_": "torch.load", "f": str(marker.parent / "weights.pt"), "weights_only": False}


def unpickled_by_numpy(marker: Path) -> dict[str, Any]:
    path = marker.parent / "array.npy"
    np.save(path, np.array([Writes(marker)], dtype=object), allow_pickle=True)
    return {"_target_": "numpy.load", "file": str(path), "allow_pickle": True}


def imported(marker: Path) -> dict[str, Any]:
    (marker.parent / "a_module_here.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Part: pass")
    return {"_target_": "a_module_here.Part"}


PAYLOADS = [
    lambda marker: {"_target_": "os.system", "command": f"touch {marker}"},
    lambda marker: {"_target_": "ganduel.command.sample.os.mkdir", "path": str(marker)},
    written,
    hub,
    unpickled_by_torch,
    unpickled_by_numpy,
    imported,
]
NESTED = [
    lambda inner, outer: inner,
    lambda inner, outer: {**outer, "_args_": [inner]},
    lambda inner, outer: {**outer, "noise_dim": inner},
    lambda inner, outer: {**outer, "hidden": [[{"deep": inner}]]},
]


def save(path: Path, generator: dict[str, Any] = GENERATOR, **parts: Any) -> Path:
    weights = build(GENERATOR, shape=(2,)).state_dict()
    state = {f"generator.{key}": value for key, value in weights.items()}
    config = {"model": {"generator": generator}, "data": RING, "metric": {}, **parts}
    entry = {"format": FORMAT, "config": config, "shape": [2]}
    torch.save({"state_dict": state, "global_step": 7, "ganduel": entry}, path)
    return path


@pytest.fixture
def refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """A function that runs `ganduel …` in a folder of a stranger's, and returns the one line with which it ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def refusal(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        line = capsys.readouterr().err
        assert (ended.value.code, line.count("\n")) == (1, 1), line
        return line

    return refusal


@pytest.mark.parametrize(
    ("payload", "nested"), [*((payload, NESTED[0]) for payload in PAYLOADS), *((written, way) for way in NESTED[1:])]
)
def test_sampling_runs_no_code_of_a_checkpoint(refusal, tmp_path: Path, payload, nested) -> None:
    """`ganduel sample downloaded.ckpt --out x.png` ran a command of whoever had made the file."""
    marker = tmp_path / "marker"
    save(tmp_path / "a.ckpt", generator=nested(payload(marker), GENERATOR))
    line = refusal("sample", "a.ckpt", "--out", "x.npz")
    assert (
        "no such part of ganduel: to build it is to run someone's code. If it is yours, or you trust it, add --trust."
        in line
    )
    assert not marker.exists()
    assert "a_module_here" not in sys.modules


@pytest.mark.parametrize("payload", [written, unpickled_by_numpy, imported])
@pytest.mark.parametrize("place", ["data", "metric"])
def test_evaluating_runs_no_code_of_a_checkpoint(refusal, tmp_path: Path, payload, place: str) -> None:
    marker = tmp_path / "marker"
    node = payload(marker)
    save(tmp_path / "a.ckpt", **{place: node if place == "data" else {"mine": node}})
    assert f"({place}" in refusal("evaluate", "a.ckpt")
    assert not marker.exists()


PLACES = ("loss", "callback.mine", "tracking", "schedule.generator", "model.generator.hidden", "trainer.x")


@pytest.mark.parametrize(
    ("payload", "place"), [*((payload, "data") for payload in PAYLOADS), *((imported, place) for place in PLACES)]
)
def test_resuming_runs_no_code_of_a_folder(tmp_path: Path, compose, payload, place: str) -> None:
    """`resume=downloaded` trusted each name in the folder's config.yaml."""
    marker = tmp_path / "marker"
    config = compose("tracking=none")
    *groups, name = place.split(".")
    node = config
    for group in groups:
        node = node[group]
    node[name] = payload(marker)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "run": {"choices": {}, "overrides": []}}))
    with pytest.raises(UserError, match=r"add trust=true\.$"):
        resumed_config(tmp_path, OmegaConf.create(compose()), [])
    assert not marker.exists()


def test_a_stored_reference_to_the_environment_is_not_resolved(
    refusal, tmp_path: Path, compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have put a variable of this machine into the record, which is then shared."""
    monkeypatch.setenv("MY_SECRET", "hunter2")
    save(tmp_path / "a.ckpt", data={"_target_": "ganduel.data.images.Images", "dir": "${oc.env:MY_SECRET}"})
    assert "hunter2" not in refusal("evaluate", "a.ckpt", "--trust")
    (tmp_path / "${oc.env:MY_SECRET}").mkdir()  # a folder of that name exists, as the run's data are on record to be in
    images = {"_target_": "ganduel.data.images.Images", "dir": "pictures"}
    save(tmp_path / "b.ckpt", data=images, run={"data": {"dir": str(tmp_path / "${oc.env:MY_SECRET}")}})
    assert "b.ckpt has an interpolation as run.data.dir" in refusal("evaluate", "b.ckpt", "--trust")
    words = {"choices": {}, "overrides": ["data.dir=${oc.env:MY_SECRET}"]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**compose("tracking=none"), "run": words}))
    resumed = resumed_config(tmp_path, OmegaConf.create(compose()), [])
    assert resumed["run"] == words


def test_a_module_of_this_folder_is_imported_for_those_who_trust_it(refusal, tmp_path: Path) -> None:
    """So the marker would have shown in the tests above."""
    marker = tmp_path / "marker"
    save(tmp_path / "a.ckpt", generator=imported(marker))
    assert "a_module_here.Part as its generator, which is no network" in refusal(
        "sample", "a.ckpt", "--out", "x.npz", "--trust"
    )
    assert marker.exists()
    del sys.modules["a_module_here"]


@pytest.mark.parametrize("payload", [written, hub, unpickled_by_torch, unpickled_by_numpy])
def test_the_payloads_work(tmp_path: Path, payload) -> None:
    """Else nothing above would show anything."""
    marker = tmp_path / "marker"
    build(payload(marker))
    assert marker.exists()
    assert pickle.dumps(Writes(marker))
