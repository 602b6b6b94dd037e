"""Folders of images: every kind that is read, how they are turned, cut and coloured, and what is said of bad ones."""

import logging
import os
import threading
import time

import numpy as np
import pytest
import torch
from image_files import RED, only, plain, uniform
from PIL import Image

from ganduel.data import images as module
from ganduel.data.images import Images, divide
from ganduel.errors import UserError

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
