"""Images of tar files: which files belong together, and what is refused."""

import io
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from ganduel.data.webdataset import WebDataset
from ganduel.errors import UserError


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), (value, 0, 255 - value)).save(file, "PNG")
    return file.getvalue()


def write(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def folder(tmp_path):
    """Two shards of ten images each, of value and class; the second is read last."""
    for shard in (1, 0):
        files = {}
        for i in range(10 * shard, 10 * shard + 10):
            files |= {f"a.b/{i:03}.png": png(i), f"a.b/{i:03}.cls": str(i % 3).encode(), f"a.b/{i:03}.json": b"{}"}
        write(tmp_path / f"shard-{shard}.tar", files)
    return tmp_path


def test_images_are_those_of_all_shards_with_their_classes(folder):
    data = WebDataset(str(folder), size=4)
    data.use_labels()
    train, test = data.samples_of("train"), data.samples_of("test")
    assert (data.shape, data.classes, len(train), len(test)) == ((3, 4, 4), 3, 18, 2)
    values = torch.cat([train, test])[:, 0, 0, 0]
    assert sorted(values.tolist()) == list(range(20))
    assert values.tolist()[:18] == sorted(values.tolist()[:18])
    labels = torch.cat([data.labels_of("train"), data.labels_of("test")])
    assert torch.equal(labels, values.long() % 3)


def test_without_classes_a_condition_is_refused(tmp_path):
    write(tmp_path / "a.tar", {f"{i}.jpg": png(i) for i in range(10)})
    data = WebDataset(str(tmp_path / "a.tar"), size=4, channels=1)
    assert data.shape == (1, 4, 4)
    with pytest.raises(UserError, match="has no labels, which a condition needs"):
        data.use_labels()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"1.png": b"nothing"}, r"a\.tar: the image 1 cannot be read: not a known image format"),
        ({"1.png": png(1), "1.cls": b"cat"}, r"a\.tar cannot be read: invalid literal"),
        ({"1.png": png(1), "1.cls": b"-1"}, r"a\.tar cannot be read: the class -1 is negative"),
        ({"1.txt": b"words"}, r"the 1 tar files hold no images"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, message):
    write(tmp_path / "a.tar", content)
    with pytest.raises(UserError, match=message):
        WebDataset(str(tmp_path))


def test_where_there_are_none(tmp_path):
    with pytest.raises(UserError, match=r"data=webdataset needs a folder with tar files"):
        WebDataset()
    with pytest.raises(UserError, match=r"holds no \.tar file"):
        WebDataset(str(tmp_path))
    (tmp_path / "b.tar").write_bytes(b"garbage" * 100)
    with pytest.raises(UserError, match=r"b\.tar cannot be read"):
        WebDataset(str(tmp_path))
