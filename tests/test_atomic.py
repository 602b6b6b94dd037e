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


def test_two_commands_that_write_one_page_never_mix_their_parts(tmp_path):
    """`ganduel compare … -o duel.html` while another one, or --watch, writes it too: the last one wins, whole."""
    path = tmp_path / "duel.html"
    with output_file(path) as one, one.open("w") as first:
        first.write("first, ")
        first.flush()
        with output_file(path) as two, two.open("w") as second:
            second.write("second, whole")
        assert path.read_text() == "second, whole"
        first.write("whole")
        first.flush()
        assert path.read_text() == "second, whole"
    assert path.read_text() == "first, whole"
    assert list(tmp_path.iterdir()) == [path]
