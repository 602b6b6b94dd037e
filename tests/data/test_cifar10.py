"""CIFAR-10 from either form of its files, and what is refused."""

import hashlib
import pickle
import tarfile

import pytest
import torch
from cifar_files import NAMES, as_tensor, made_up, write_binary, write_pickled

from ganduel.data import cifar10
from ganduel.data.cifar10 import CIFAR10
from ganduel.errors import UserError

FILES = made_up()


@pytest.fixture(params=["cifar-10-batches-bin", "cifar-10-batches-py", "."])
def folder(request, tmp_path):
    """The archive's folder, in either form, or the files themselves."""
    place = tmp_path / "here" if request.param == "." else tmp_path / request.param
    (write_pickled if request.param.endswith("py") else write_binary)(place, FILES)
    return place if request.param == "." else tmp_path


def test_images_and_classes_are_those_of_the_files(folder):
    """Red first, row by row; five files to train on, one to compare with."""
    data = CIFAR10(str(folder))
    images, labels = as_tensor(FILES, *NAMES[:5])
    assert torch.equal(data.samples, images)
    assert (data.shape, data.size, data.classes) == ((3, 32, 32), 20, None)
    data.use_labels()
    assert torch.equal(data.sample_labels, labels)
    assert data.classes == int(labels.max()) + 1
    images, labels = as_tensor(FILES, "test_batch")
    chosen, classes = data.reference("test", 4), data.reference_labels("test", 4)
    where = [(images == image).flatten(1).all(1).nonzero().item() for image in chosen]
    assert sorted(where) == [0, 1, 2, 3]
    assert torch.equal(classes, labels[where])


def test_both_forms_are_the_same_data(tmp_path):
    binary, pickled = write_binary(tmp_path / "a", FILES), write_pickled(tmp_path / "b", FILES)
    assert CIFAR10(str(binary)).fingerprint == CIFAR10(str(pickled)).fingerprint


def test_a_pickle_that_would_run_code_is_not_loaded(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    folder = write_pickled(tmp_path / "c", FILES)
    (folder / "data_batch_3").write_bytes(pickle.dumps({b"data": Harmful(), b"labels": []}, protocol=2))
    with pytest.raises(UserError, match=r"data_batch_3 is not the published file of CIFAR-10: it asks for \w+\.open"):
        CIFAR10(str(folder))
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "its arrays are of another shape or type"),
        (b"\x0b" + bytes(3072), "its arrays are of another shape or type"),
        (bytes(3000), "3000 bytes are not rows of 3,073"),
    ],
    ids=["empty", "class 11", "cut off"],
)
def test_damaged_binary_files(tmp_path, content, message):
    folder = write_binary(tmp_path / "d", FILES)
    (folder / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(UserError, match=f"data_batch_2.bin is not the published file of CIFAR-10: {message}"):
        CIFAR10(str(folder))


@pytest.mark.parametrize("content", [b"", b"\x80\x02}q\x00.", pickle.dumps([1]), b"garbage"])
def test_damaged_pickles(tmp_path, content):
    folder = write_pickled(tmp_path / "e", FILES)
    (folder / "data_batch_2").write_bytes(content)
    with pytest.raises(UserError, match="data_batch_2 is not the published file of CIFAR-10"):
        CIFAR10(str(folder))


def test_without_its_files(tmp_path):
    folder = write_binary(tmp_path / "f", FILES)
    (folder / "test_batch.bin").unlink()
    with pytest.raises(UserError, match=r"does not hold CIFAR-10: data_batch_1\.bin to 5 and test_batch\.bin"):
        CIFAR10(str(folder))


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The archive of the files above, at an address that is a folder, and an empty cache."""
    write_binary(tmp_path / "cifar-10-batches-bin", FILES)
    archive = tmp_path / "published" / "cifar-10-binary.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / "cifar-10-batches-bin", "cifar-10-batches-bin")
    monkeypatch.setattr(cifar10, "ADDRESS", archive.parent.as_uri())
    monkeypatch.setattr(cifar10, "MD5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setenv("GANDUEL_CACHE", str(tmp_path / "cache"))
    return archive


def test_a_download_is_unpacked_once(published):
    """The archive is not kept; the second time nothing is asked for."""
    data = CIFAR10()
    assert torch.equal(data.samples, as_tensor(FILES, *NAMES[:5])[0])
    published.unlink()
    assert CIFAR10(download=False).fingerprint == data.fingerprint
    assert [path.name for path in published.parents[1].glob("cache/cifar10/*")] == ["cifar-10-batches-bin"]


def test_what_is_not_the_published_archive_is_not_kept(published):
    published.write_bytes(published.read_bytes() + b"0")
    with pytest.raises(UserError, match=r"data\.dir=.*, which failed: what .* sends is not the published file\."):
        CIFAR10()
    with pytest.raises(UserError, match=r"or allow its download: data\.download=true"):
        CIFAR10(download=False)
