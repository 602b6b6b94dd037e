"""The grid: 25 centres, two apart."""

from ganduel.data.grid25 import Grid25


def test_centres_are_the_square_of_five_places():
    grid = Grid25()
    assert sorted(map(tuple, grid.centres.tolist())) == [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    assert grid.sigma == 0.05
    assert Grid25(spacing=1.0).centres.max() == 2
