"""The faults are what their names say."""

import pytest
from script_modules import imported

from ganduel.data.mnist import MNIST


@pytest.fixture
def fakes():
    with imported("constructed_fakes") as module:
        yield module.fakes(MNIST(), 300)


def test_each_has_its_fault(fakes):
    real, blurred, shifted, without, memorised = fakes.values()
    assert all(len(images) == 300 for images in fakes.values())
    assert blurred.std() < 0.9 * real.std()
    assert blurred.mean().item() == pytest.approx(real.mean().item(), abs=0.05)
    assert (shifted[..., 2:] == real[..., :-2]).all()
    assert len(memorised.flatten(1).unique(dim=0)) == 100
    assert len(without.flatten(1).unique(dim=0)) == 300
