"""Generators of the zoo in ONNX, as onnxruntime computes them: the same samples, for batches of any size."""

import sys
from pathlib import Path

import pytest
from exported_networks import CASES, NETWORKS
from stored_runs import save_whole

from ganduel.errors import UserError
from ganduel.export.export import export
from ganduel.model.mlp import MLPGenerator


@pytest.mark.slow
@NETWORKS
def test_each_network(compose, tmp_path: Path, name: str):
    pytest.importorskip("onnxruntime")
    shape, classes, words = CASES[name]
    checkpoint = save_whole(tmp_path / "a.ckpt", compose(*words), shape, classes)
    line = export(checkpoint, "onnx", tmp_path / "out")
    assert float(line.rpartition(" ")[2]) <= 1e-5
    assert (tmp_path / "out" / "generator.onnx").is_file()


def test_a_package_that_is_missing_is_named(tiny, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    checkpoint = save_whole(tmp_path / "a.ckpt", tiny(), (1, 28, 28))
    with pytest.raises(UserError, match=r"ONNX needs packages .* \(onnxruntime\): pip install 'ganduel\[onnx\]'\."):
        export(checkpoint, "onnx", tmp_path / "out")


@pytest.mark.slow
def test_a_network_that_cannot_be_exported_is_named(tiny, tmp_path: Path, monkeypatch):
    pytest.importorskip("onnxruntime")

    def forward(self, z):
        return self.net(z) if z.sum() > 0 else self.net(-z)  # a branch that depends on values

    monkeypatch.setattr(MLPGenerator, "forward", forward)
    checkpoint = save_whole(tmp_path / "a.ckpt", tiny(), (1, 28, 28))
    with pytest.raises(UserError, match=r"MLPGenerator cannot be exported to ONNX: .* Try torchscript"):
        export(checkpoint, "onnx", tmp_path / "out")
