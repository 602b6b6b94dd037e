"""CIFAR-10 from either form of its files, and what is refused."""

import pickle

import pytest
import torch
from cifar_files import NAMES, as_tensor, made_up, write_binary, write_pickled

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
    with pytest.raises(UserError, match=r"data=cifar10 needs the folder of the published files: data\.dir=FOLDER"):
        CIFAR10()
    folder = write_binary(tmp_path / "f", FILES)
    (folder / "test_batch.bin").unlink()
    with pytest.raises(UserError, match=r"does not hold CIFAR-10: data_batch_1\.bin to 5 and test_batch\.bin"):
        CIFAR10(str(folder))
