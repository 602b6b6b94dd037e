"""What tests of data share."""

import pytest
import torch
from image_files import plain

from ganduel import rng


@pytest.fixture
def cpu_generators(monkeypatch):
    """The generators made in a test, each checked to be a CPU's."""
    make, generators = rng.generator, []

    def watched(*key, **options):
        generators.append(make(*key, **options))
        assert generators[-1].device == torch.device("cpu")
        return generators[-1]

    monkeypatch.setattr(rng, "generator", watched)
    return generators


@pytest.fixture
def folder(tmp_path):
    """Ten grey images, 0.png of value 0 to 9.png of value 9."""
    for value in range(10):
        plain(value, mode="L").save(tmp_path / f"{value}.png")
    return tmp_path
