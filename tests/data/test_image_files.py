"""Which files of a folder are taken, how links are followed, and what is passed over."""

import logging
import os

import pytest
from image_files import only, plain
from PIL import Image

from ganduel.data.image_files import find
from ganduel.data.images import Images
from ganduel.errors import UserError

SUFFIXES = ["png", "jpg", "jpeg", "jpe", "jfif", "webp", "avif", "bmp", "dib", "gif", "tif", "tiff", "ppm", "pgm",
            "pbm", "pnm", "tga", "jp2", "j2k", "qoi", "sgi", "pcx", "ico", "mpo",
            "psd", "icns", "dds", "xbm", "xpm"]  # fmt: skip


def test_suffixes_are_those_of_the_formats_that_pillow_decodes_itself(tmp_path):
    """AVIF where Pillow is built with it; nothing that another program would be started for."""
    for suffix in [*SUFFIXES, "eps", "ps", "pdf", "wmf", "mpg", "h5"]:
        (tmp_path / f"x.{suffix}").touch()
    paths, others = find(tmp_path)
    expected = {suffix for suffix in SUFFIXES if suffix != "avif" or ".avif" in Image.registered_extensions()}
    assert {path.suffix[1:] for path in paths} == expected
    assert {".eps", ".ps", ".pdf", ".wmf", ".mpg", ".h5"} <= set(others)


def test_other_files_are_counted_in_one_line(folder, caplog):
    for name in ["a.txt", "b.TXT", "c.pdf", "README", "d.\n"]:
        (folder / name).touch()
    (folder / "broken.png").symlink_to("nowhere.png")
    with caplog.at_level(logging.INFO):
        assert Images(dir=str(folder), held_out=0.0).size == 10
    record, _ = caplog.records
    assert record.getMessage().endswith(
        ": 6 of 16 files passed over: .txt 2, without suffix 1, .png that are no files 1, .pdf 1, '.\\n' 1."
    )


def test_what_is_a_program_is_no_image(tmp_path, monkeypatch):
    """EPS, by its content: Pillow would have Ghostscript run it, whatever the file is called."""
    from PIL import EpsImagePlugin

    def run(*args, **options):
        raise AssertionError("Ghostscript was called")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(UserError, match=r"x.png \(not a known image format\)"):
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
    assert [path.name for path in find(folder)[0]] == [*(f"{i}.png" for i in range(10)), "x.png"]


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
    assert find(folder)[1] == {"folders that cannot be read": 1}
