"""The digits that are shipped, and user folders in the same format."""

import gzip
import shutil
import struct

import pytest
import torch

from ganduel.data import mnist
from ganduel.data.mnist import ASSETS, MD5, MNIST
from ganduel.errors import UserError

TRAIN, TRAIN_LABELS, TEST, TEST_LABELS = MD5


@pytest.fixture(scope="module")
def digits():
    """Read with its checksums, which is most of what there is to check."""
    return MNIST()


def encode(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.numpy().tobytes()


@pytest.fixture
def folder(tmp_path):
    """Three training images of 2 by 2 pixels and their labels, one of each zipped; two test images."""
    images = torch.arange(12, dtype=torch.uint8).reshape(3, 2, 2)
    (tmp_path / TRAIN).write_bytes(encode(images))
    (tmp_path / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(encode(torch.tensor([7, 8, 9], dtype=torch.uint8))))
    (tmp_path / f"{TEST}.gz").write_bytes(gzip.compress(encode(images[:2] + 100)))
    (tmp_path / TEST_LABELS).write_bytes(encode(torch.tensor([1, 2], dtype=torch.uint8)))
    return tmp_path


def test_shape_and_size(digits):
    assert digits.shape == (1, 28, 28)
    assert digits.size == 60_000
    assert digits.samples.dtype == torch.uint8


def test_minibatch_fills_the_range(digits):
    x, labels = digits.minibatch(0, 0, 64)
    assert labels is None
    assert x.shape == (64, 1, 28, 28)
    assert x.min() == -1
    assert x.max() == 1


@pytest.mark.parametrize(
    ("split", "size"), [("train", 50_000), ("validation", 10_000), ("train+validation", 60_000), ("test", 10_000)]
)
def test_splits(digits, split, size):
    assert digits.images(split).shape == (size, 1, 28, 28)
    labels = digits.labels(split)
    assert labels.shape == (size,)
    assert labels.dtype == torch.int64
    assert labels.unique().tolist() == list(range(10))


def test_training_splits_are_the_two_ends_of_the_file(digits):
    whole = digits.images("train+validation")
    assert torch.equal(torch.cat([digits.images("train"), digits.images("validation")]), whole)


def test_label_counts_are_those_published(digits):
    """Of 60,000 and 10,000, as tabulated for instance in LeCun et al.'s files."""
    assert digits.labels("train+validation").bincount().tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert digits.labels("test").bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mean_and_spread_are_those_that_everyone_normalises_by(digits):
    """0.1307 and 0.3081 of [0, 1]."""
    shares = digits.samples.flatten().bincount(minlength=256).double() / digits.samples.numel()
    grey = torch.arange(256).double() / 255
    mean = (shares * grey).sum()
    assert mean.item() == pytest.approx(0.1307, abs=5e-5)
    assert (shares * (grey - mean).square()).sum().sqrt().item() == pytest.approx(0.3081, abs=5e-5)


def test_training_may_keep_the_validation_images_out(digits):
    data = MNIST(train_on="train")
    assert data.size == 50_000
    assert torch.equal(data.samples, digits.images("train"))


def test_a_shipped_file_that_is_damaged_is_noticed(tmp_path, monkeypatch):
    """One pixel, in a file that is otherwise sound."""
    content = bytearray(gzip.decompress((ASSETS / f"{TEST_LABELS}.gz").read_bytes()))
    content[100] ^= 1
    (tmp_path / TEST_LABELS).write_bytes(content)
    shutil.copy(ASSETS / f"{TRAIN}.gz", tmp_path)
    monkeypatch.setattr(mnist, "ASSETS", tmp_path)
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte is damaged: its checksum"):
        MNIST().labels("test")


def test_own_folder(folder):
    """Plain and zipped files, any number and size of images, no checksum."""
    data = MNIST(dir=str(folder))
    assert data.shape == (1, 2, 2)
    assert data.size == 3
    assert data.images("train+validation")[1].flatten().tolist() == [4, 5, 6, 7]
    assert data.labels("train+validation").tolist() == [7, 8, 9]
    assert data.images("test").shape == (2, 1, 2, 2)
    assert data.images("test")[0, 0, 0, 0] == 100
    assert data.labels("test").tolist() == [1, 2]


def test_home_folder_is_understood(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert MNIST(dir=f"~/{folder.name}").size == 3


@pytest.mark.parametrize(("images", "validation"), [(3, 0), (6, 1), (200, 33), (59_999, 9_999), (70_000, 10_000)])
def test_validation_is_the_last_sixth(folder, images, validation):
    """As of MNIST's 60,000; no more than its 10,000."""
    (folder / TRAIN).write_bytes(encode((torch.arange(images) % 251).to(torch.uint8).reshape(images, 1, 1)))
    data = MNIST(dir=str(folder), train_on="train")
    assert data.size == data.count("train") == images - validation
    assert data.count("validation") == validation
    assert torch.equal(torch.cat([data.images("train"), data.images("validation")]), data.images("train+validation"))


def test_folder_that_is_none():
    with pytest.raises(UserError, match=r"data.dir=nowhere is not a folder. Leave it out"):
        MNIST(dir="nowhere")


def test_a_file_that_is_missing(folder):
    (folder / TRAIN).unlink()
    with pytest.raises(UserError, match=f"has neither {TRAIN} nor {TRAIN}.gz"):
        MNIST(dir=str(folder))


def test_labels_in_the_place_of_images(folder):
    shutil.copy(folder / TEST_LABELS, folder / TRAIN)
    with pytest.raises(UserError, match=r"holds an array of shape \(2,\), not of 3 dimensions"):
        MNIST(dir=str(folder))


def test_a_file_without_images(folder):
    (folder / TRAIN).write_bytes(encode(torch.empty(0, 28, 28, dtype=torch.uint8)))
    with pytest.raises(UserError, match=r"holds no training images"):
        MNIST(dir=str(folder))


@pytest.mark.usefixtures("untyped")
def test_unknown_split():
    with pytest.raises(UserError, match=r"data.train_on=all is not known. There are: train, train.validation"):
        MNIST(train_on="all")
