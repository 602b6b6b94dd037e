"""Polygons: their areas and corners, and that they are a function of the parameters alone."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganduel.data.polygons import Polygons, draw_corners, render, triangle_of
from ganduel.errors import UserError


def shoelace(corners: torch.Tensor) -> torch.Tensor:
    """The area of polygons whose corners are in order."""
    x, y = corners.unbind(2)
    return (x * y.roll(-1, 1) - y * x.roll(-1, 1)).sum(1).abs() / 2


@pytest.mark.parametrize("corners", [3, 4, 7])
def test_the_area_is_that_of_the_pixels(corners):
    """To the share that soft corners cost or gain: a pixel or two each."""
    places = draw_corners(200, corners, 32, torch.Generator().manual_seed(0))
    bright = (render(places, 32) + 1).sum((1, 2, 3)) / 2
    assert (bright - shoelace(places)).abs().max() < 2.5


def test_a_right_triangle_by_hand():
    """Row 4 is full from 4 to 18; the pixel that the diagonal cuts in two is half full; what is beyond it is black."""
    x = render(torch.tensor([[[4.0, 4.0], [20.0, 4.0], [4.0, 20.0]]]), 32)[0, 0]
    assert (x[4, 4:18] > 0.999).all()
    assert x[4, 19] == pytest.approx(0, abs=1e-5)
    assert (x[4, 21:] == -1).all()
    assert (x[:4] == -1).all()
    assert torch.allclose(x, x.T, atol=1e-5)


@given(corners=st.integers(3, 9), size=st.sampled_from([8, 32, 50]), seed=st.integers(0, 99))
def test_polygons_are_convex_within_the_image_and_not_flat(corners, size, seed):
    """Each turn is to the same side, no edge is shorter than that of the least gap."""
    places = draw_corners(50, corners, size, torch.Generator().manual_seed(seed))
    edges = places.roll(-1, 1) - places
    following = edges.roll(-1, 1)
    assert (edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0] > 0).all()
    assert places.min() > 0
    assert places.max() < size
    least = size / 4 * 2 * math.sin(math.pi * 0.4 / corners)
    assert edges.norm(dim=2).min() > least * 0.999


def test_images_are_the_same_bits_and_fewer_are_the_first_of_more():
    images = Polygons(n=40, corners=5).samples
    assert (images.dtype, images.shape) == (torch.uint8, (40, 1, 32, 32))
    torch.manual_seed(1)
    assert torch.equal(Polygons(n=25, corners=5).samples, images[:25])
    assert not torch.equal(Polygons(n=25, corners=4).samples, images[:25])
    assert images.flatten(1).unique(dim=0).shape[0] == 40


def test_test_images_are_others(monkeypatch):
    monkeypatch.setattr("ganduel.data.polygons.TEST", 30)
    data = Polygons(n=30, size=16)
    assert data.shape == (1, 16, 16)
    both = torch.cat([data.reference("train", 30), data.reference("test", 30)]).flatten(1)
    assert both.unique(dim=0).shape[0] == 60
    assert (data.count("train"), data.count("test")) == (30, 30)


def test_triangles_are_told_from_what_is_none():
    """All of the data's are, rounded to bytes and on a background that is nearly black; hexagons and halves are not."""
    data, stream = Polygons(n=500), torch.Generator().manual_seed(0)
    x = data.samples.float() / 127.5 - 1
    assert data.identify(data.samples)[1].all()
    assert data.identify((x + 0.02 * torch.randn(x.shape, generator=stream)).clamp(-1, 1))[1].all()
    assert not data.identify(Polygons(n=200, corners=6).samples)[1].any()
    assert not data.identify(torch.cat([x[:1] * 0 - 1, x[:1] * 0, 2 * torch.rand(3, 1, 32, 32, generator=stream) - 1]))[
        1
    ].any()
    assert not hasattr(Polygons(n=2, corners=4), "identify")


def test_the_corners_of_a_triangle_are_recovered():
    places = draw_corners(100, 3, 64, torch.Generator().manual_seed(0))
    mass = (render(places, 64).squeeze(1) + 1) / 2
    found = triangle_of(mass, mass.sum((1, 2)))
    assert torch.cdist(found, places).amin(2).max() < 1.5
    torch.testing.assert_close(render(found, 64).sum((1, 2, 3)), render(places, 64).sum((1, 2, 3)), rtol=0.01, atol=0)


@pytest.mark.parametrize(("options", "says"), [({"corners": 2}, "data.corners=2 must be at least 3"),
                                               ({"n": 0}, "data.n=0 must be at least 1"),
                                               ({"size": 4}, "data.size=4 must be at least 8")])  # fmt: skip
def test_bad_values(options, says):
    with pytest.raises(UserError, match=says):
        Polygons(**options)
