"""Centres of one's own, in the plane."""

import pytest

from ganduel.data.mixture2d import Mixture2D
from ganduel.errors import UserError


def test_centres_are_kept():
    world = Mixture2D([[0.0, 1.0], [2.0, 3.0]], sigma=0.2)
    assert world.centres.tolist() == [[0, 1], [2, 3]]
    assert world.shape == (2,)


def test_centres_must_be_pairs():
    with pytest.raises(UserError, match=r"must be pairs, such as \[\[-1,0\],\[1,0\]\]"):
        Mixture2D([[0.0, 1.0, 2.0]])
