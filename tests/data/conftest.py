"""What tests of data share."""

import numpy as np
import pytest
import torch
from image_files import plain
from numbered import in_turn

from ganduel import rng
from ganduel.data.mapped import Store


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


@pytest.fixture
def sources(tmp_path):
    """Ten files, 0 to 9; number 3 has no number."""
    (tmp_path / "sources").mkdir()
    paths = [tmp_path / "sources" / str(i) for i in range(10)]
    for i, path in enumerate(paths):
        path.write_text("three" if i == 3 else str(i))
    return paths


@pytest.fixture
def store(sources, tmp_path):
    """A function that makes a store of the sources in one folder."""

    def make(read=in_turn, shape=(2,), options="", paths=sources):
        return Store(tmp_path / "cache", "data.dir=sources", paths, read, shape, np.dtype(np.uint8), options)

    return make
