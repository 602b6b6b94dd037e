"""IDX files: what is written is read, and each kind of damage is one clear line."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ganduel.data import idx
from ganduel.errors import UserError


def encode(array):
    """The IDX file of a uint8 array, by the format's definition."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def file(tmp_path):
    """A function that writes bytes to a file and returns its path."""

    def write(content):
        path = tmp_path / "images"
        path.write_bytes(content)
        return path

    return write


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=arrays(np.uint8, array_shapes(max_dims=4, max_side=4)), zipped=st.booleans())
def test_round_trip(file, array, zipped):
    content = encode(array)
    values = idx.read(file(gzip.compress(content, mtime=0) if zipped else content))
    assert values.dtype == torch.uint8
    assert np.array_equal(values.numpy(), array)


def test_no_images_is_a_tensor_too(file):
    assert idx.read(file(encode(IMAGES[:0]))).shape == (0, 3, 4)


def test_tensor_owns_its_memory(file):
    """Without a warning of a buffer that is not writable."""
    values = idx.read(file(encode(IMAGES)))
    values.zero_()
    assert values.sum() == 0


@pytest.mark.parametrize("cut", range(1, len(encode(IMAGES))))
def test_a_file_cut_off_anywhere(file, cut):
    with pytest.raises(UserError, match=r"images (is not an IDX file|holds)"):
        idx.read(file(encode(IMAGES)[:-cut]))


@pytest.mark.parametrize("cut", range(1, len(gzip.compress(encode(IMAGES), mtime=0)) - 2, 5))
def test_a_zipped_file_cut_off_anywhere(file, cut):
    with pytest.raises(UserError, match=r"images cannot be read.*Fetch a fresh copy"):
        idx.read(file(gzip.compress(encode(IMAGES), mtime=0)[:-cut]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from([b"", b"\x1f\x8b", b"\x1f\x8b\x08\x00", b"\x00\x00\x08"]))
def test_any_garbage_is_refused_in_one_line(file, tail, head):
    try:
        values = idx.read(file(head + tail))
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017 - a few random files are IDX files
    else:
        assert head + tail == encode(values.numpy())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is not an IDX file of unsigned bytes: it begins with …"),
        (b"\x89PNG\r\n", r"is not an IDX file of unsigned bytes: it begins with 89504e47"),
        (bytes([0, 0, 13]) + encode(IMAGES)[3:], "is not an IDX file of unsigned bytes: it begins with 00000d03"),
        (encode(IMAGES) + b"x", r"holds 25 bytes, not the 24 of \(2, 3, 4\)"),
        (gzip.compress(encode(IMAGES), mtime=0)[:-1] + b"\x01", r"cannot be read \(Incorrect length"),
    ],
)
def test_wrong_content(file, content, message):
    with pytest.raises(UserError, match=message):
        idx.read(file(content))


@pytest.mark.parametrize("zipped", [False, True])
def test_checksum_is_of_the_unzipped_file(file, zipped):
    content = encode(IMAGES)
    path = file(gzip.compress(content, mtime=0) if zipped else content)
    assert idx.read(path, hashlib.md5(content).hexdigest()).shape == (2, 3, 4)
    with pytest.raises(UserError, match=r"images is damaged"):
        idx.read(path, hashlib.md5(content + b"x").hexdigest())


def test_find_takes_plain_before_zipped(tmp_path):
    (tmp_path / "a.gz").touch()
    assert idx.find(tmp_path, "a") == tmp_path / "a.gz"
    (tmp_path / "a").touch()
    assert idx.find(tmp_path, "a") == tmp_path / "a"


def test_find_names_both_and_the_option(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError, match=r"has neither a nor a\.gz\. Point data\.dir at"):
        idx.find(tmp_path, "a")


def test_a_file_that_may_not_be_read(monkeypatch, file):
    path = file(encode(IMAGES))

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    with pytest.raises(UserError, match=r"cannot be read.*Permission denied"):
        idx.read(path)
