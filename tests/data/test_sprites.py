"""Sprites: what is drawn, that nothing but the key matters, and that a sprite tells from what it was drawn."""

import math

import pytest
import torch

from ganduel.data.base import denormalise
from ganduel.data.sprites import COLOURS, SHAPES, Factors, Sprites, draw_factors, explain, left_over, render
from ganduel.errors import UserError


def sprites(shape: str, area: float = 150.0, angles: tuple[float, ...] = (0.3,), colour: int = 0) -> Factors:
    """One sprite for each angle, in the middle."""
    n = len(angles)
    mode = torch.full((n,), list(SHAPES).index(shape) * len(COLOURS) + colour)
    return Factors(mode, torch.full((n,), area), torch.tensor(angles), torch.full((n, 2), 16.0))


@pytest.fixture(scope="module")
def data() -> Sprites:
    return Sprites()


@pytest.fixture(scope="module")
def drawn() -> Factors:
    return draw_factors(1000, torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def images(drawn) -> torch.Tensor:
    return denormalise(render(drawn))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_area_is_that_of_the_pixels(shape):
    """The same for all shapes and at any angle, to the two pixels that corners cost."""
    bright = (render(sprites(shape, angles=(0.0, 0.3, 1.1)))[:, 0] + 1).sum((1, 2)) / 2
    assert bright == pytest.approx([150.0] * 3, abs=2.5)


def test_a_circle_by_hand():
    """All pixels whose whole is within R = √(150/π) are full, those whose whole is beyond it are black."""
    red, green = render(sprites("circle"))[0, :2]
    steps = torch.arange(32) + 0.5 - 16
    distance = torch.hypot(steps[None], steps[:, None])
    r = math.sqrt(150 / math.pi)
    assert (red[distance < r - 0.71] == 1).all()
    assert (red[distance > r + 0.71] == -1).all()
    assert (green == -1).all()


def test_a_square_stands_on_its_corner_at_angle_0_and_on_its_side_after_an_eighth():
    """Of side 12: half of the diagonal is 8.5, which is more than the 6 after the turn."""
    corner, side = render(sprites("square", 144.0, (0.0, math.pi / 4)))[:, 0, 16]
    assert corner[23] > -1
    assert (side[10:22] > 0.999).all()
    assert (side[22:] == -1).all()


@pytest.mark.parametrize(("shape", "turns"), [("square", 4), ("triangle", 3), ("cross", 4), ("star", 5)])
def test_symmetries(shape, turns):
    """The same after 1/turns of a turn, another after half of that; y goes down, as in images."""
    first, same, other = render(sprites(shape, angles=(0.2, 0.2 + 2 * math.pi / turns, 0.2 + math.pi / turns)))
    torch.testing.assert_close(first, same, atol=1e-4, rtol=0)
    assert (first - other).abs().max() > 0.5


def test_all_sprites_are_whole_and_all_modes_are_drawn(drawn, images):
    assert drawn.mode.bincount().shape == (30,)
    edge = torch.cat([images[..., 0], images[..., -1], images[..., 0, :], images[..., -1, :]], 2)
    assert (edge == 0).all()


def test_colours_and_shapes_of_modes(drawn, images):
    """Mode 6 · shape + colour."""
    on = images.flatten(2).amax(2) > 0
    assert torch.equal(on.float(), COLOURS[drawn.mode % 6])
    assert Sprites.modes == 30


def test_identify_is_right_for_every_sprite(data, drawn, images):
    modes, good = data.identify(images)
    assert torch.equal(modes, drawn.mode)
    assert good.all()


def test_factors_are_recovered(drawn, images):
    found = explain(images[:500])[0]
    known = Factors(*(factor[:500] for factor in drawn))
    assert (found.area - known.area).abs().max() < 8
    assert (found.centre - known.centre).abs().max() < 0.2
    order = torch.tensor([shape.order for shape in SHAPES.values()])[known.mode // 6]
    turn = order * (found.angle - known.angle)
    assert torch.cos(turn)[order > 0].min() > math.cos(0.4)  # in parts of the symmetry


def test_what_is_no_sprite_is_not_good(data, images):
    """Nothing, noise, two at once, one in two colours; and a square is no circle."""
    x = images[:200].float() / 127.5 - 1
    half = x.clone()
    half[..., 16:] = half[..., 16:].flip(1)
    stream = torch.Generator().manual_seed(0)
    assert not data.identify(torch.full((1, 3, 32, 32), -1.0))[1].any()
    assert not data.identify(torch.rand(5, 3, 32, 32, generator=stream) * 2 - 1)[1].any()
    assert not data.identify((x[:100] + x[100:]) / 2)[1].any()
    square, circle = sprites("square", angles=(0.3,)), sprites("circle")
    assert left_over(render(square), circle) > 0.07
    assert left_over(render(circle), square) > 0.07


def test_a_noisy_background_is_put_up_with(data, drawn, images):
    x = images[:500].float() / 127.5 - 1
    noisy = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    assert torch.equal(data.identify(noisy)[0], drawn.mode[:500])


def test_minibatches_are_functions_of_seed_and_position(data):
    once, labels = data.minibatch(3, 5, 8)
    assert labels is None
    assert torch.equal(Sprites().minibatch(3, 5, 8)[0], once)
    assert torch.equal(data.minibatch(3, 5, 8, slice(2, 4))[0], once[2:4])
    assert not torch.equal(data.minibatch(3, 6, 8)[0], once)
    assert not torch.equal(data.minibatch(4, 5, 8)[0], once)
    assert (once.min(), once.max()) == (-1, 1)


def test_drawn_on_the_cpu_for_every_device(cpu_generators):
    data = Sprites()
    data.to(torch.device("cpu"))
    data.minibatch(0, 0, 2)
    assert len(cpu_generators) == 1


@pytest.mark.parametrize(("labels", "classes"), [("shape", 5), ("mode", 30)])
def test_labels(labels, classes):
    data = Sprites(labels)
    x, y = data.minibatch(0, 0, 64)
    assert data.classes == classes
    assert y is not None
    assert torch.equal(y, data.identify(x)[0] // (30 // classes))
    assert data.draw_labels(1000, torch.Generator().manual_seed(0)).max() == classes - 1


def test_reference_and_its_factors(data):
    images = data.reference("test", 1001, 3)
    assert images.dtype == torch.uint8
    assert torch.equal(data.identify(images[-100:])[0], data.factors("test", 1001, 3).mode[-100:])
    assert not torch.equal(images, data.reference("train", 1001, 3))


@pytest.mark.usefixtures("untyped")
def test_bad_values(data):
    with pytest.raises(UserError, match=r"data\.labels=shape \(5\) or data\.labels=mode \(30\)"):
        Sprites().use_labels()
    with pytest.raises(UserError, match=r"data\.labels=shapes is not known\. Did you mean shape\?"):
        Sprites("shapes")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"Sprites has no split validation"):
        data.reference("validation", 2)
