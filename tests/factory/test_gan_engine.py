"""Engines by their name, and by the device of the run."""

from operator import call
from types import SimpleNamespace

import pytest
import torch

from ganduel.factory import gan as builder
from ganduel.factory.gan import build_engine, build_gan


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("name", "trainer", "module"),
    [
        ("eager", {}, "eager"),
        ("cuda_graph", {}, "cuda_graph"),
        ("auto", {"accelerator": "cpu"}, "eager"),
        ("auto", {"accelerator": "auto"}, "cuda_graph"),
        ("auto", {"accelerator": "gpu"}, "cuda_graph"),
        ("auto", {"accelerator": "gpu", "devices": 2}, "eager"),
    ],
)
def test_engines_by_name_and_by_device(monkeypatch, name, trainer, module):
    """On a machine that has a CUDA device; the module alone says how it is built."""
    trainer = {"accelerator": "auto", "devices": 1, "num_nodes": 1, **trainer}
    for devices in (torch.accelerator, torch.cuda):
        monkeypatch.setattr(devices, "is_available", lambda: True)
    monkeypatch.setattr(builder, "import_module", lambda path: SimpleNamespace(build=lambda trainer: (path, trainer)))
    monkeypatch.setattr(builder, "find_spec", lambda path: path)
    assert build_engine(name, trainer) == (f"ganduel.engine.{module}", trainer)


def test_without_other_engines_all_runs_are_eager(monkeypatch):
    """The package may be reduced to eager.py."""
    for devices in (torch.accelerator, torch.cuda):
        monkeypatch.setattr(devices, "is_available", lambda: True)
    monkeypatch.setattr(builder, "find_spec", lambda path: path if path.endswith("eager") else None)
    assert build_engine("auto", {"accelerator": "gpu", "devices": 1, "num_nodes": 1}) is call


def test_an_accelerator_without_cuda_graphs_is_eager(monkeypatch):
    """As Apple's is."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert build_engine("auto", {"accelerator": "auto", "devices": 1, "num_nodes": 1}) is call


def test_a_run_on_a_cpu_is_eager(tiny, images):
    """A call without a frame of its own."""
    assert build_gan(tiny(), images).engine is call
    assert build_gan(tiny("engine=eager"), images).engine is call
