"""A file is replaced whole or not at all."""

import pytest

from ganduel.atomic import atomic_write, output_file
from ganduel.errors import UserError


def test_the_new_file_takes_the_place_at_the_end(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("old")
    with atomic_write(path) as part:
        assert part.suffix == ".png"
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "a.png"
    path.write_text("old")

    def half() -> None:
        with atomic_write(path) as part:
            part.write_text("n")
            raise error

    with pytest.raises(type(error)):
        half()
    assert {entry.name: entry.read_text() for entry in tmp_path.iterdir()} == {"a.png": "old"}


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.png"):
        pass


def test_an_output_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "b.png"
    with pytest.raises(UserError, match=r"--out .*b.png cannot be written: "), output_file(path):
        pass
    with output_file(tmp_path / "new" / "b.png") as part:
        part.write_text("x")
    assert (tmp_path / "new" / "b.png").read_text() == "x"
