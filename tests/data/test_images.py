"""Folders of images: every kind that is read, how they are turned, cut and coloured, and what is said of bad ones."""

import io
import logging
import os
import struct
import threading
import time
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from tqdm import tqdm

from ganduel.data import images as module
from ganduel.data.images import Images, cut, divide
from ganduel.errors import UserError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def plain(colour=RED, size=(4, 4), mode="RGB"):
    return Image.new(mode, size, colour)


def only(folder, **options):
    """The one image of a folder, as nested lists (channels, height, width)."""
    data = Images(dir=str(folder), **{"size": 4, "held_out": 0.0, **options})
    assert data.size == 1
    return data.samples[0].tolist()


def uniform(*channels, size=4):
    return [[[value] * size] * size for value in channels]


@pytest.fixture
def folder(tmp_path):
    """Ten grey images, 0.png of value 0 to 9.png of value 9."""
    for value in range(10):
        plain(value, mode="L").save(tmp_path / f"{value}.png")
    return tmp_path


def png(width, height, depth, colour, rows, transparent=None):
    """A PNG file by the format's definition, for what Pillow does not write.

    `transparent` is the value, or the three values, that a tRNS chunk names.
    """

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (b"" if transparent is None else chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)))
        + chunk(b"IDAT", zlib.compress(b"".join(b"\x00" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


# Kinds of files


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "PNG", "JPG"])
def test_kinds(tmp_path, suffix):
    """To within what JPEG and WebP lose."""
    plain((200, 100, 50)).save(tmp_path / f"x.{suffix}")
    assert np.array(only(tmp_path)) == pytest.approx(np.array(uniform(200, 100, 50)), abs=3)


def test_files_are_found_below_the_folder_in_order(tmp_path):
    for value, name in enumerate(["a/9.png", "b/c/1.png", "b/c/2.png", "d.png"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        plain(value, mode="L").save(tmp_path / name)
    data = Images(dir=str(tmp_path), size=1, held_out=0.0, channels=1)
    assert data.samples.flatten().tolist() == [0, 1, 2, 3]


SUFFIXES = ["png", "jpg", "jpeg", "jpe", "jfif", "webp", "avif", "bmp", "dib", "gif", "tif", "tiff", "ppm", "pgm",
            "pbm", "pnm", "tga", "jp2", "j2k", "qoi", "sgi", "pcx", "ico", "mpo"]  # fmt: skip


def test_suffixes_are_those_of_the_formats_that_pillow_decodes_itself(tmp_path):
    """AVIF where Pillow is built with it; nothing that another program would be started for."""
    for suffix in [*SUFFIXES, "eps", "ps", "pdf", "wmf", "psd", "h5"]:
        (tmp_path / f"x.{suffix}").touch()
    paths, others = module.find(tmp_path)
    expected = {suffix for suffix in SUFFIXES if suffix != "avif" or ".avif" in Image.registered_extensions()}
    assert {path.suffix[1:] for path in paths} == expected
    assert {".eps", ".ps", ".pdf", ".wmf", ".psd", ".h5"} <= set(others)


def test_other_files_are_counted_in_one_line(folder, caplog):
    for name in ["a.txt", "b.TXT", "c.psd", "README", "d.\n"]:
        (folder / name).touch()
    (folder / "broken.png").symlink_to("nowhere.png")
    with caplog.at_level(logging.INFO):
        assert Images(dir=str(folder), held_out=0.0).size == 10
    (record,) = caplog.records
    assert record.getMessage().endswith(
        ": 6 of 16 files passed over: .txt 2, without suffix 1, .png that are no files 1, .psd 1, '.\\n' 1."
    )


def test_what_is_a_program_is_no_image(tmp_path, monkeypatch):
    """EPS, by its content: Pillow would have Ghostscript run it, whatever the file is called."""
    from PIL import EpsImagePlugin

    def run(*args, **options):
        raise AssertionError("Ghostscript was called")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(UserError, match=r"x.png \(no image that is known\)"):
        only(tmp_path)


def test_links_to_folders_are_followed(folder, tmp_path_factory):
    """Class folders that lie on another disk; those of a link are part of the order by their names here."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    plain(100, mode="L").save(elsewhere / "x.png")
    (folder / "4a").symlink_to(elsewhere)
    data = Images(dir=str(folder), size=1, channels=1, held_out=0.0)
    assert data.samples.flatten().tolist() == [0, 1, 2, 3, 4, 100, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("up", [".", "..", "../..", "/"])
def test_links_upward_neither_hang_nor_double(folder, up):
    """To the folder, to one that it lies in, to all there is: none is a part of it."""
    (folder / "class").mkdir()
    plain(100, mode="L").save(folder / "class" / "x.png")
    (folder / "class" / "link").symlink_to(up)
    assert [path.name for path in module.find(folder)[0]] == [*(f"{i}.png" for i in range(10)), "x.png"]


def test_each_file_is_taken_once(folder, caplog):
    """Links to what is there already, to files or to folders, and to each other."""
    (folder / "class").mkdir()
    plain(100, mode="L").save(folder / "class" / "x.png")
    (folder / "again").symlink_to("class")
    (folder / "class" / "there").symlink_to("../other")
    (folder / "other").mkdir()
    (folder / "other" / "back").symlink_to("../class")
    (folder / "zero.png").symlink_to("0.png")
    with caplog.at_level(logging.INFO):
        data = Images(dir=str(folder), size=1, channels=1, held_out=0.0)
    assert sorted(data.samples.flatten().tolist()) == [*range(10), 100]
    assert "1 of 12 files passed over: links to others of these 1." in caplog.text


def test_a_folder_that_may_not_be_read_is_counted(folder, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    (folder / "secret").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    assert module.find(folder)[1] == {"folders that cannot be read": 1}


def test_hidden_files_are_passed_over_without_a_word(tmp_path, caplog):
    """Such as thumbnails, and what one system leaves beside each file on the disks of others."""
    caplog.set_level(logging.INFO)
    plain().save(tmp_path / "x.png")
    (tmp_path / "._x.png").write_bytes(b"no image")
    (tmp_path / ".thumbnails").mkdir()
    plain().save(tmp_path / ".thumbnails" / "x.png")
    (tmp_path / "folder.png").mkdir()
    assert only(tmp_path) == uniform(*RED)
    assert caplog.text == ""


def test_a_hidden_folder_may_be_named(tmp_path):
    hidden = tmp_path / ".cache" / "faces"
    hidden.mkdir(parents=True)
    plain().save(hidden / "x.png")
    assert only(hidden) == uniform(*RED)


def test_home_folder_is_understood(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert Images(dir=f"~/{folder.name}", held_out=0.0).size == 10


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
    expected = [[[0] * 4] * 2 + [[255] * 4] * 2] * channels
    assert np.array(only(tmp_path, channels=channels)) == pytest.approx(np.array(expected), abs=1)


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
    assert np.abs(np.asarray(cut(image, 8)).astype(int) - resized)[:, 1:-1].max() <= 1


def test_a_long_image_takes_no_more_memory_than_its_square():
    """Resized whole, this would be 512 by 30 million pixels."""
    assert cut(plain(size=(60_000, 1)), 512).size == (512, 512)


def test_small_images_are_enlarged(tmp_path):
    plain(GREEN, size=(1, 2)).save(tmp_path / "x.png")
    assert only(tmp_path, size=5) == uniform(*GREEN, size=5)


# What is held out


def values(samples):
    return sorted(samples[:, 0, 0, 0].tolist())


def test_the_held_out_share_is_the_test_split(folder):
    data = Images(dir=str(folder), size=2, held_out=0.3)
    assert data.size == 7
    assert data.splits == ("train", "test")
    assert data.reference("test", 3).dtype == torch.uint8
    assert sorted(values(data.samples) + values(data.reference("test", 3))) == list(range(10))
    assert values(data.reference("train", 7)) == values(data.samples)


def test_the_choice_is_always_the_same(folder):
    first, second = (Images(dir=str(folder), size=2, held_out=0.3) for _ in range(2))
    assert torch.equal(first.samples, second.samples)
    assert torch.equal(first.samples_of("test"), second.samples_of("test"))


def test_the_choice_is_spread():
    """Not the last of the names, which may be one class of many: of ten tenths each has its share."""
    _, out = divide(10_000, 0.1)
    shares = (out // 1000).bincount(minlength=10)
    assert (shares - 100).abs().max() < 5 * (1000 * 0.1 * 0.9) ** 0.5


def test_none_is_held_out(folder):
    data = Images(dir=str(folder), held_out=0.0)
    assert data.size == 10
    assert data.splits == ("train",)
    with pytest.raises(UserError, match=r"Images has no split test. It has: train"):
        data.reference("test", 1)


def test_too_few_to_hold_any_out(tmp_path):
    plain().save(tmp_path / "x.png")
    assert Images(dir=str(tmp_path)).splits == ("train",)


def test_all_held_out(tmp_path):
    plain().save(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"data.held_out=0.9 leaves none of the 1 images for training"):
        Images(dir=str(tmp_path), held_out=0.9)


def test_shape_and_range(folder):
    data = Images(dir=str(folder))
    assert data.shape == (3, 32, 32)
    assert data.samples.dtype == torch.uint8
    assert data.features is None
    x, _ = data.minibatch(0, 0, 4)
    assert x.shape == (4, 3, 32, 32)
    assert x.max() <= 9 / 127.5 - 1 + 1e-6


# What is wrong with files


def test_unreadable_files_are_named_in_one_line(folder, caplog):
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(whole, "jpeg")
    (folder / "b.jpg").write_bytes(whole.getvalue()[:-200])
    (folder / "a.png").write_bytes(b"no image")
    (folder / "c.gif").touch()
    (folder / "d\n.png").write_bytes(png(4, 4, 8, 2, [b"\x00" * 12])[:-20])
    with caplog.at_level(logging.INFO):
        data = Images(dir=str(folder), held_out=0.0)
    assert data.size == 10
    (record,) = caplog.records
    line = record.getMessage()
    assert "\n" not in line
    assert "4 of the 14 images cannot be read and are left out: a.png (no image that is known), b.jpg (" in line
    assert r"'d\n.png' (" in line


def test_many_unreadable_files_are_counted(folder, caplog):
    for i in range(14):
        (folder / f"bad{i:02}.png").touch()
    Images(dir=str(folder))
    assert "bad09.png (no image that is known) and 4 more." in caplog.text
    assert "bad10" not in caplog.text


def test_one_rank_warns_for_all(folder, caplog, monkeypatch):
    (folder / "bad.png").touch()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert Images(dir=str(folder), held_out=0.0).size == 10
    assert caplog.text == ""


def test_a_file_that_may_not_be_read(folder, caplog, monkeypatch):
    real = Image.open

    def refuse(path, **options):
        if path.name == "3.png":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Image, "open", refuse)
    assert Images(dir=str(folder), held_out=0.0).size == 9
    assert "1 of the 10 images cannot be read and are left out: 3.png (Permission denied)." in caplog.text


def test_no_file_can_be_read(tmp_path):
    (tmp_path / "x.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"none of the 1 images can be read: x.png \(no image that is known\)"):
        Images(dir=str(tmp_path))


def test_a_decompression_bomb(folder):
    """300 million black pixels in a file that says so, whose content is not even looked at."""
    (folder / "bomb.png").write_bytes(png(20_000, 15_000, 8, 0, [b""]))
    with pytest.raises(UserError, match=r"bomb.png is too large: it has more than 178,956,970 pixels.*take it away"):
        Images(dir=str(folder))


def test_a_large_image_is_no_bomb(folder, monkeypatch):
    """Above Pillow's first limit it warns, at twice that it refuses."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert Images(dir=str(folder), held_out=0.0).size == 10


def test_no_images(tmp_path):
    (tmp_path / "x.txt").touch()
    with pytest.raises(UserError, match=r"holds no images: no file there ends in .png, .jpg, "):
        Images(dir=str(tmp_path))


def test_folder_that_is_none():
    with pytest.raises(UserError, match=r"data.dir=nowhere is not a folder. Give the folder with the images"):
        Images(dir="nowhere")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dir": None}, r"data=images needs a folder with images: type data.dir=FOLDER as well"),
        ({"size": 0}, r"data.size=0 must be at least 1"),
        ({"channels": 2}, r"data.channels=2 must be 3 for colour or 1 for grey"),
        ({"held_out": 1.0}, r"data.held_out=1.0 must be a share of the images, at least 0 and less than 1"),
        ({"held_out": -0.1}, r"data.held_out=-0.1 must be a share"),
        ({"held_out": float("nan")}, r"data.held_out=nan must be a share"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_options_that_make_no_data(folder, options, message):
    with pytest.raises(UserError, match=message):
        Images(**{"dir": str(folder), **options})


# The bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("delay", "terminal", "shown"), [(0, True, True), (2, True, False), (0, False, False)])
def test_a_bar_is_shown_on_a_terminal_if_it_takes_a_while(folder, monkeypatch, delay, terminal, shown):
    stream = Terminal() if terminal else io.StringIO()

    def bar(*args, **options):
        assert options["delay"] == 2
        return tqdm(*args, **{**options, "delay": delay, "file": stream})

    monkeypatch.setattr(module, "tqdm", bar)
    Images(dir=str(folder))
    assert ("0/10" in stream.getvalue()) == shown


def test_fingerprint_is_of_all_images(folder):
    """Those held out too: another one would be another test set."""
    data, other = Images(str(folder), size=4), Images(str(folder), size=4, held_out=0.0)
    assert data.fingerprint["samples"] == other.fingerprint["samples"] == 10
    held_out = int(data.held_out[0, 0, 0, 0])
    plain(77, mode="L").save(folder / f"{held_out}.png")
    changed = Images(str(folder), size=4)
    assert torch.equal(changed.samples, data.samples)
    assert changed.fingerprint["checksum"] != data.fingerprint["checksum"]


@pytest.mark.parametrize(("large", "at_once"), [(15, 1), (16, 4)])
def test_large_images_are_decoded_one_at_a_time(folder, monkeypatch, large, at_once):
    """Pillow takes images of up to 179 million pixels: 16 threads that each held one took tens of gigabytes."""
    decode, active, most = module.flatten, [], []

    def flatten(*arguments):
        active.append(None)
        most.append(len(active))
        together.wait(10) if large == 16 else time.sleep(0.002)  # until there are four; or long enough that there were
        active.pop()
        return decode(*arguments)

    together = threading.Barrier(4)
    monkeypatch.setattr(module, "flatten", flatten)
    monkeypatch.setattr(module, "LARGE", large)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 4)
    paths = sorted(folder.glob("*.png"))[:4] * 8  # a chunk of eight for each thread
    assert len(module.read_all(paths, 4, 3)) == 32
    assert max(most) == at_once
