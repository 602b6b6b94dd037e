"""The ring: eight distinct centres at equal angles, at the two published scales."""

import pytest
import torch

from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError


def test_eight_distinct_centres_at_equal_distances():
    """With `linspace(0, 2π, 8)` two of them would be one, and the gaps wider."""
    centres = Ring8("pacgan").centres
    gaps = (centres - centres.roll(1, 0)).norm(dim=1)
    assert len(centres.round(decimals=6).unique(dim=0)) == 8
    torch.testing.assert_close(gaps, torch.full((8,), 2 * torch.pi / 16, dtype=torch.float64).sin() * 2)


@pytest.mark.parametrize(("preset", "radius", "sigma"), [("pacgan", 1, 0.01), ("veegan", 2, 0.02)])
def test_presets(preset, radius, sigma):
    ring = Ring8(preset)
    torch.testing.assert_close(ring.centres.norm(dim=1), torch.full((8,), float(radius), dtype=torch.float64))
    assert ring.sigma == sigma


def test_radius_and_sigma_of_ones_own():
    ring = Ring8(radius=3.0, sigma=0.5)
    assert ring.centres.norm(dim=1).max().item() == pytest.approx(3)
    assert ring.sigma == 0.5


def test_bad_values(untyped):
    with pytest.raises(UserError, match=r"data\.radius=-1\.0 must be positive"):
        Ring8(radius=-1.0)
    with pytest.raises(UserError, match=r"data\.preset=pacgam is not known\. Did you mean pacgan\?"):
        Ring8("pacgam")
