"""A download is kept whole or not at all; what may go wrong on its way is tested with Fashion-MNIST."""

from urllib.error import URLError

import pytest

from ganduel.data.download import download, reason_of
from ganduel.errors import UserError


def refuse(path):
    raise UserError("no")


def test_what_is_checked_is_what_is_kept(tmp_path):
    """As much of it as is read at most; its folder is made."""
    (tmp_path / "published").write_bytes(b"content")
    seen, path = [], tmp_path / "cache" / "file"
    download((tmp_path / "published").as_uri(), path, 4, lambda file: seen.append(file.read_bytes()))
    assert (seen, path.read_bytes(), [entry.name for entry in path.parent.iterdir()]) == ([b"cont"], b"cont", ["file"])


def test_what_is_refused_is_not_kept(tmp_path):
    (tmp_path / "published").write_bytes(b"content")
    with pytest.raises(UserError, match=r"what file:.* sends is not the published file"):
        download((tmp_path / "published").as_uri(), tmp_path / "cache" / "file", 9, refuse)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (URLError(ConnectionRefusedError("Connection refused.\nmore")), "Connection refused"),
        (TimeoutError("timed out"), "timed out"),
        (OSError(), "OSError"),
    ],
)
def test_reasons_are_one_line(failure, reason):
    assert reason_of(failure) == reason
