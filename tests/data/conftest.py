"""What tests of data share."""

import pytest
import torch

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
