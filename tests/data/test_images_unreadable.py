"""What is said of files and folders that cannot be read, and while it takes a while."""

import io
import logging

import numpy as np
import pytest
from image_files import png
from PIL import Image
from tqdm import tqdm

from ganduel.data import images as module
from ganduel.data.images import Images
from ganduel.errors import UserError

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
    record = caplog.records[-1]
    line = record.getMessage()
    assert "\n" not in line
    assert "4 of the 14 images cannot be read and are left out: a.png (not a known image format), b.jpg (" in line
    assert r"'d\n.png' (" in line


def test_many_unreadable_files_are_counted(folder, caplog):
    for i in range(14):
        (folder / f"bad{i:02}.png").touch()
    Images(dir=str(folder))
    assert "bad09.png (not a known image format) and 4 more." in caplog.text
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
    with pytest.raises(UserError, match=r"none of the 1 images can be read: x.png \(not a known image format\)"):
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
        ({"size": [64, 0]}, r"data.size=\[64, 0\] must be at least 1: the height and width .* 64 or \[64,48\]"),
        ({"size": [8, 8, 3]}, r"data.size=\[8, 8, 3\] must be"),
        ({"channels": 5}, r"data.channels=5 must be 1 for grey, 3 for colour, 2 or 4 for these with alpha"),
        ({"fit": "stretch"}, r"data.fit=stretch is not known. There are: crop, pad"),
        ({"background": "whitish"}, r"data.background=whitish is no colour. Try white"),
        ({"bits": 12}, r"data.bits=12 must be 8 or 16"),
        ({"bits": 16}, r"data.bits=16: colours are read in 8 bits. Take data.channels=1"),
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
