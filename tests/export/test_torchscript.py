"""Generators of the zoo in TorchScript: the same samples, for batches of any size."""

import warnings
from pathlib import Path

import pytest
import torch
from exported_networks import CASES, NETWORKS
from stored_runs import save_whole

import ganduel
from ganduel.export.export import export


@pytest.mark.slow
@NETWORKS
def test_each_network(compose, tmp_path: Path, name: str):
    shape, classes, words = CASES[name]
    checkpoint = save_whole(tmp_path / "a.ckpt", compose(*words), shape, classes)
    line = export(checkpoint, "torchscript", tmp_path / "out")
    assert float(line.rpartition(" ")[2]) <= 1e-5
    assert (tmp_path / "out" / "generator.pt").is_file()


def test_the_file_needs_torch_alone(tiny, tmp_path: Path):
    checkpoint = save_whole(tmp_path / "a.ckpt", tiny(), (1, 28, 28))
    export(checkpoint, "torchscript", tmp_path / "out")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        generator = torch.jit.load(tmp_path / "out" / "generator.pt")
    source = ganduel.load(checkpoint, device="cpu")
    torch.testing.assert_close(generator(source.noise(3)), source.generator(source.noise(3)))
