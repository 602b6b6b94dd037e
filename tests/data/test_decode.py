"""Kinds of pixels, their turns, and how images get the size of the data."""

import struct
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
import torch
from image_files import BLUE, GREEN, RED, WHITE, only, plain, png, uniform
from PIL import Image

from ganduel.data import decode as module
from ganduel.data import images
from ganduel.data.decode import PixelFormat
from ganduel.errors import UserError


def test_the_first_of_several_frames(tmp_path):
    plain(BLUE).save(tmp_path / "x.gif", save_all=True, append_images=[plain(RED), plain(GREEN)])
    assert only(tmp_path) == uniform(*BLUE)


# Colours


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"])
def test_modes(tmp_path, mode, channels):
    """White and black keep their values in every mode."""
    suffix = "tif" if mode in ("CMYK", "YCbCr") else "png"
    image = plain("white", size=(4, 4))
    image.paste((0, 0, 0), (0, 0, 4, 2))
    image.convert(mode).save(tmp_path / f"x.{suffix}")
    if not reads_itself(tmp_path / f"x.{suffix}"):
        pytest.skip("this Pillow cannot read what it writes")  # YCbCr in TIFF before 13
    expected = [[[0] * 4] * 2 + [[255] * 4] * 2] * channels
    assert np.array(only(tmp_path, channels=channels)) == pytest.approx(np.array(expected), abs=1)


def reads_itself(path):
    with suppress(OSError), Image.open(path) as image:
        image.load()
        return True
    return False


def test_grey_is_luma(tmp_path):
    """0.299 R + 0.587 G + 0.114 B (ITU-R BT.601)."""
    plain((100, 200, 50)).save(tmp_path / "x.png")
    assert only(tmp_path, channels=1) == uniform(round(0.299 * 100 + 0.587 * 200 + 0.114 * 50))


def test_grey_files_in_colour_have_three_equal_channels(tmp_path):
    plain(77, mode="L").save(tmp_path / "x.png")
    assert only(tmp_path) == uniform(77, 77, 77)


def test_what_is_transparent_lies_on_white(tmp_path):
    """Half of red's opacity, 51 of 255 = 1/5: 255 − (255 − c)/5 each."""
    plain((255, 0, 0, 51), mode="RGBA").save(tmp_path / "x.png")
    assert only(tmp_path) == uniform(255, 204, 204)


def test_transparent_pixels_do_not_bleed(tmp_path):
    """The colour below an opacity of 0, black as a rule, is never seen: not by way of resizing either."""
    image = plain((0, 0, 0, 0), size=(8, 8), mode="RGBA")
    image.paste((255, 255, 255, 255), (3, 3, 6, 6))
    image.save(tmp_path / "x.png")
    assert only(tmp_path) == uniform(255, 255, 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_palette_with_transparency(tmp_path, channels):
    image = plain(0, mode="P")
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(tmp_path / "x.png", transparency=0)
    assert only(tmp_path, channels=channels) == uniform(*[255] * channels)


def test_a_palette_with_opacities_of_its_own(tmp_path):
    """One a colour, which Pillow gives as bytes and warns of."""
    image = plain(1, mode="P")
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(tmp_path / "x.png", transparency=bytes([255, 51]))
    assert only(tmp_path) == uniform(255, 204, 204)


@pytest.mark.parametrize(("value", "byte"), [(0, 0), (128, 0), (129, 1), (257 * 100, 100), (65535, 255)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_rounded(tmp_path, suffix, value, byte):
    """65535 is white; Pillow's own conversion would clip at 255."""
    Image.fromarray(np.full((4, 4), value, dtype=np.uint16)).save(tmp_path / f"x.{suffix}")
    assert only(tmp_path) == uniform(byte, byte, byte)


def test_16_bits_of_colour(tmp_path):
    row = struct.pack(">HHH", 0x6400, 0xFFFF, 0) * 4
    (tmp_path / "x.png").write_bytes(png(4, 4, 16, 2, [row] * 4))
    assert only(tmp_path) == uniform(100, 255, 0)


@pytest.mark.parametrize(
    ("depth", "colour", "row", "transparent", "expected"),
    [
        (1, 0, b"\x50", (0,), [255, 255, 255, 255]),
        (2, 0, b"\x1b", (1,), [0, 255, 170, 255]),
        (4, 0, b"\x05\xaf", (5,), [0, 255, 170, 255]),
        (8, 0, b"\x00\x05\xaa\xff", (5,), [0, 255, 170, 255]),
        (16, 0, struct.pack(">4H", 0, 257 * 5, 257 * 5 + 1, 65535), (257 * 5,), [0, 255, 5, 255]),
        (8, 2, bytes([0, 0, 0, 1, 2, 3, 9, 9, 9, 255, 255, 255]), (1, 2, 3), [0, 255, 9, 255]),
        (16, 2, struct.pack(">9H", 0, 0, 0, 256, 512, 768, 9, 9, 9) + b"\xff" * 6, (256, 512, 768), [0, 255, 0, 255]),
    ],
)  # fmt: skip
def test_a_transparent_value_of_any_depth_lies_on_white(tmp_path, depth, colour, row, transparent, expected):
    """PNG's tRNS chunk names it at the depth of the file; Pillow compares it with pixels of 8 bits."""
    (tmp_path / "x.png").write_bytes(png(4, 4, depth, colour, [row] * 4, transparent))
    assert only(tmp_path) == [[expected] * 4] * 3


@pytest.mark.parametrize("value", [np.float32(0.5), np.int32(70_000), np.int32(-1)])
def test_values_that_cannot_be_placed_are_no_image(tmp_path, value):
    Image.fromarray(np.full((4, 4), value)).save(tmp_path / "x.tif")
    with pytest.raises(UserError, match=r"x.tif \((floating-point values, whose range|values beyond 16 bits)"):
        only(tmp_path)


# Turning and cutting


@pytest.mark.parametrize("orientation", range(1, 9))
def test_cameras_turn_images_by_an_entry(tmp_path, orientation):
    """All eight: stored as the entry says, an image comes out with red top left and blue bottom right."""
    upright = np.zeros((8, 8, 3), dtype=np.uint8)
    upright[:4, :4], upright[4:, 4:], upright[:4, 4:] = RED, BLUE, WHITE
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "x.png", exif=exif)
    assert only(tmp_path, size=8) == upright.transpose(2, 0, 1).tolist()


@pytest.mark.parametrize("shape", [(4, 12), (12, 4)])
def test_the_middle_is_kept(tmp_path, shape):
    pixels = np.zeros((*shape, 3), dtype=np.uint8)
    pixels[..., 2] = 255
    along = slice(4, 8)
    pixels[(along, slice(None)) if shape[0] > 4 else (slice(None), along)] = RED
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert only(tmp_path) == uniform(*RED)


def test_an_image_of_the_size_is_not_touched(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert only(tmp_path) == pixels.transpose(2, 0, 1).tolist()


def test_shrinking_is_antialiased(tmp_path):
    """Of stripes a pixel wide their mean is left, where picking pixels would leave black or white."""
    pixels = np.zeros((64, 64), dtype=np.uint8)
    pixels[:, ::2] = 255
    Image.fromarray(pixels).save(tmp_path / "x.png")
    inner = torch.tensor(only(tmp_path, size=8, channels=1))[0, :, 1:-1]
    assert (inner.float() - 127.5).abs().max() < 3


def test_cutting_first_is_resizing_first(tmp_path):
    """Of a smooth image: the two differ only where the filter reaches over the cut."""
    x = np.linspace(0, 255, 96)
    image = Image.fromarray(np.broadcast_to(x, (32, 96)).round().astype(np.uint8))
    resized = np.asarray(image.resize((24, 8), Image.Resampling.LANCZOS).crop((8, 0, 16, 8))).astype(int)
    assert np.abs(np.asarray(PixelFormat((8, 8)).resize(image)).astype(int) - resized)[:, 1:-1].max() <= 1


def test_a_long_image_takes_no_more_memory_than_its_square():
    """Resized whole, this would be 512 by 30 million pixels."""
    assert PixelFormat((512, 512)).resize(plain(size=(60_000, 1))).size == (512, 512)


def test_small_images_are_enlarged(tmp_path):
    plain(GREEN, size=(1, 2)).save(tmp_path / "x.png")
    assert only(tmp_path, size=5) == uniform(*GREEN, size=5)


@pytest.mark.parametrize(("large", "at_once"), [(15, 1), (16, 4)])
def test_large_images_are_decoded_one_at_a_time(folder, monkeypatch, large, at_once):
    """Pillow takes images of up to 179 million pixels: 16 threads that each held one took tens of gigabytes."""
    decode, active, most = module.to_mode, [], []

    def to_mode(*arguments):
        active.append(None)
        most.append(len(active))
        together.wait(10) if large == 16 else time.sleep(0.002)  # until there are four; or long enough that there were
        active.pop()
        return decode(*arguments)

    together = threading.Barrier(4)
    monkeypatch.setattr(module, "to_mode", to_mode)
    monkeypatch.setattr(module, "LARGE", large)
    monkeypatch.setattr(images.os, "cpu_count", lambda: 4)
    paths = sorted(folder.glob("*.png"))[:4] * 8  # a chunk of eight for each thread
    assert len(list(images.read_all(paths, form=PixelFormat((4, 4))))) == 32
    assert max(most) == at_once
