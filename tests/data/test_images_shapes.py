"""Sides, channels and bits other than the default's; mirrored images."""

import numpy as np
import pytest
import torch
from image_files import BLUE, RED, WHITE, only, plain, png, uniform
from PIL import Image

from ganduel.data.images import Images

STRIPES = np.zeros((4, 12, 3), dtype=np.uint8)  # blue, red, blue
STRIPES[:, :4] = STRIPES[:, 8:] = BLUE
STRIPES[:, 4:8] = RED


@pytest.mark.parametrize("size", [[4, 6], [6, 4], [1, 9]])
def test_height_comes_first(tmp_path, size):
    plain().save(tmp_path / "x.png")
    assert Images(str(tmp_path), size=size).shape == (3, *size)


def test_a_crop_is_the_largest_of_the_shape(tmp_path):
    """Of 4×12 pixels a square in the middle, or for twice the width two more at each side."""
    Image.fromarray(STRIPES).save(tmp_path / "x.png")
    assert only(tmp_path) == uniform(*RED)
    assert only(tmp_path, size=[4, 8]) == STRIPES[:, 2:10].transpose(2, 0, 1).tolist()


@pytest.mark.parametrize(("background", "colour"), [("white", WHITE), ("#0000ff", BLUE)])
def test_a_padded_image_is_whole(tmp_path, background, colour):
    plain(RED, size=(4, 2)).save(tmp_path / "x.png")
    bar = [[value] * 4 for value in colour]
    expected = [[[*bar[i]], [RED[i]] * 4, [RED[i]] * 4, [*bar[i]]] for i in range(3)]
    assert only(tmp_path, fit="pad", background=background) == expected


@pytest.mark.parametrize("channels", [2, 4])
def test_bars_are_transparent_where_there_is_alpha(tmp_path, channels):
    plain(100, size=(4, 2), mode="L").save(tmp_path / "x.png")
    assert only(tmp_path, channels=channels, fit="pad")[-1] == [[0] * 4, [255] * 4, [255] * 4, [0] * 4]


def test_what_is_transparent_lies_on_a_background(tmp_path):
    """Red of opacity 51/255 = 1/5 on black is a fifth of red."""
    plain((255, 0, 0, 51), mode="RGBA").save(tmp_path / "x.png")
    assert only(tmp_path, background="black") == uniform(51, 0, 0)


@pytest.mark.parametrize(
    ("mode", "colour", "channels", "expected"),
    [
        ("RGBA", (10, 20, 30, 40), 4, (10, 20, 30, 40)),
        ("RGB", (10, 20, 30), 4, (10, 20, 30, 255)),
        ("L", 10, 4, (10, 10, 10, 255)),
        ("LA", (10, 40), 4, (10, 10, 10, 40)),
        ("LA", (10, 40), 2, (10, 40)),
        ("L", 10, 2, (10, 255)),
        ("RGBA", (10, 10, 10, 40), 2, (10, 40)),
    ],
)
def test_alpha_is_kept_where_there_is_a_channel_for_it(tmp_path, mode, colour, channels, expected):
    plain(colour, mode=mode).save(tmp_path / "x.png")
    assert only(tmp_path, channels=channels) == uniform(*expected)


@pytest.mark.parametrize(("channels", "expected"), [(2, (77, 0)), (4, (77, 77, 77, 0))])
def test_a_transparent_value_is_an_alpha_of_0(tmp_path, channels, expected):
    """In grey of 16 bits: 77 · 257 is there, and named in PNG's tRNS chunk."""
    row = (77 * 257).to_bytes(2, "big") * 4
    (tmp_path / "x.png").write_bytes(png(4, 4, 16, 0, [row] * 4, (77 * 257,)))
    assert only(tmp_path, channels=channels)[-1] == uniform(*expected)[-1]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_kept(tmp_path, suffix):
    """v/32767.5 − 1: neighbouring values, a 256th of what bytes tell apart, stay distinct."""
    values = np.array([[0, 1], [32768, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"x.{suffix}")
    data = Images(str(tmp_path), size=2, channels=1, bits=16, held_out=0.0)
    assert data.samples[0, 0].numpy() == pytest.approx(values / 32767.5 - 1, abs=1e-6)
    assert data.samples[0, 0, 0, 1] > -1


@pytest.mark.parametrize(("mode", "colour"), [("L", 100), ("RGB", (100, 100, 100)), ("RGBA", (0, 0, 0, 155))])
def test_bytes_among_16_bits(tmp_path, mode, colour):
    """100/255 of white, in either: black of opacity 155/255 on white is that too."""
    plain(colour, mode=mode).save(tmp_path / "x.png")
    data = Images(str(tmp_path), size=2, channels=1, bits=16, held_out=0.0)
    assert data.samples.unique().item() == pytest.approx(2 * 100 / 255 - 1, abs=1e-6)


def test_floats_stay_in_range(tmp_path):
    """Lanczos overshoots at an edge."""
    edge = np.zeros((2, 8), dtype=np.uint16)
    edge[:, 4:] = 65535
    Image.fromarray(edge).save(tmp_path / "x.png")
    data = Images(str(tmp_path), size=[8, 32], channels=1, bits=16, held_out=0.0)
    assert (data.samples.min(), data.samples.max()) == (-1, 1)


def test_16_bits_are_padded_in_the_background(tmp_path):
    Image.fromarray(np.zeros((2, 4), dtype=np.uint16)).save(tmp_path / "x.png")
    data = Images(str(tmp_path), size=4, channels=1, bits=16, fit="pad", held_out=0.0)
    assert data.samples[0, 0, :, 0].tolist() == [1, -1, -1, 1]


# Mirrored images


@pytest.fixture
def half_black(tmp_path):
    """64 images, black on the left and white on the right."""
    image = plain("white", size=(2, 1), mode="L")
    image.putpixel((0, 0), 0)
    for i in range(64):
        image.save(tmp_path / f"{i}.png")
    return lambda flip: Images(str(tmp_path), size=[1, 2], channels=1, held_out=0.0, flip=flip)


def mirrored(data, *arguments):
    """Of each image of a minibatch, whether it is."""
    left, right = data.minibatch(*arguments)[0].flatten(1).T
    assert torch.equal(left, -right)
    return (left > 0).tolist()


def test_half_of_the_images_are_mirrored(half_black):
    flipped = [sum(mirrored(half_black(True), seed, 0, 64)) for seed in range(5)]
    assert all(16 < n < 48 for n in flipped), "4 σ around 32"
    assert len(set(flipped)) > 1
    assert not any(mirrored(half_black(False), 0, 0, 64))


def test_flips_are_a_function_of_seed_and_position(half_black):
    """Whatever was asked before; each rank has the rows of the same minibatch, a population those of each seed."""
    data, again = half_black(True), half_black(True)
    all_rows = [mirrored(data, 1, position, 8) for position in range(3)]
    assert mirrored(again, 1, 2, 8) == all_rows[2] != all_rows[1]
    assert mirrored(data, 1, 2, 8, slice(4, 8)) == all_rows[2][4:]
    both, _ = data.minibatches([7, 1], 2, 8)
    assert torch.equal(both[1], data.minibatch(1, 2, 8)[0])
    assert torch.equal(both[0], data.minibatch(7, 2, 8)[0])


def test_real_samples_for_metrics_are_not_mirrored(half_black):
    assert (half_black(True).reference("train", 64)[..., 0] == 0).all()
