"""What becomes of a file that was not finished, is not what was written, or is of files that have changed."""

import logging
import os
import shutil
from collections import namedtuple

import numpy as np
import pytest
from numbered import NUMBERS, array, in_turn, refuse, values

from ganduel.errors import UserError


class Killed(BaseException):
    """What no handler stops."""


def killed_at(n):
    """A reader that is killed before its n-th array."""

    def read(paths, done):
        for i, path in enumerate(paths):
            if i == n:
                raise Killed
            yield array(path)

    return read


@pytest.mark.parametrize("n", [0, 1, 3, 4, 9])
def test_what_a_killed_process_has_read_is_kept(store, n):
    with pytest.raises(Killed):
        store(killed_at(n)).load()
    left = []

    def rest(paths, done):
        left.extend(path.name for path in paths)
        assert done == n
        return in_turn(paths, done)

    mapped = store(rest).load()
    assert left == [str(i) for i in range(n, 10)]
    assert values(mapped) == NUMBERS
    assert mapped.about.missing == {3: "no number"}
    assert mapped.about.checksum == store(shape=(2,)).load().about.checksum


def test_a_row_that_was_cut_off_is_read_again(store, tmp_path):
    with pytest.raises(Killed):
        store(killed_at(5)).load()
    part = tmp_path / "cache" / "images.part"
    part.write_bytes(part.read_bytes()[:-1])
    assert values(store().load()) == NUMBERS


def test_a_part_of_other_sources_is_not_continued(store, sources):
    with pytest.raises(Killed):
        store(killed_at(5)).load()
    sources[0].write_text("77")
    assert values(store().load()) == [77, *NUMBERS[1:]]


@pytest.mark.parametrize("journal", [b"", b"\xff", b'"x"\n', b'{"a": 1}\n3'])
def test_a_part_without_its_journal_is_not_continued(store, tmp_path, journal):
    with pytest.raises(Killed):
        store(killed_at(5)).load()
    (tmp_path / "cache" / "journal.part").write_bytes(journal)
    assert values(store().load()) == NUMBERS


def test_a_changed_source_is_noticed(store, sources, caplog):
    """By its size or a time; also one whose time of change was set back, as an archive does that is unpacked."""
    store().load()
    before = sources[0].stat()
    sources[0].write_text("7")
    os.utime(sources[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    with caplog.at_level(logging.INFO):
        assert values(store().load()) == [7, *NUMBERS[1:]]
    assert "is of other files, or of these before they changed: decoded again" in caplog.text


def test_other_options_and_sources_are_other_arrays(store, sources):
    store().load()
    with pytest.raises(AssertionError, match="read again"):
        store(refuse, options="grey").load()
    with pytest.raises(AssertionError, match="read again"):
        store(refuse, paths=sources[1:]).load()
    assert values(store(paths=sources[4:]).load()) == NUMBERS[3:]


def spoil(name, content):
    def change(folder):
        (folder / name).write_bytes(content)

    return change


def spoil_stamp(folder):
    np.save(folder / "images.npy", np.zeros((10, 2), np.uint8))


@pytest.mark.parametrize(
    "change",
    [
        spoil("images.npy", b"no array"),
        spoil("images.npy", b""),
        spoil_stamp,
        lambda folder: (folder / "images.npy").unlink(),
        spoil("about.json", b"no JSON"),
        spoil("about.json", b"[]"),
        spoil("about.json", b'{"missing": {"a": 1}}'),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_replaced(store, tmp_path, caplog, change):
    """Cut off, of another program, overwritten in the same size, gone: it is decoded again, and a line says so."""
    store().load()
    change(tmp_path / "cache")
    with caplog.at_level(logging.INFO):
        assert values(store().load()) == NUMBERS
    assert "data.dir=sources: " in caplog.text
    assert "is not as it was written: decoded again" in caplog.text
    assert values(store(refuse).load()) == NUMBERS


def test_another_process_sees_the_old_file_until_it_ends(store, sources):
    """It has the old pages mapped, and trains on with them."""
    first = store().load()
    sources[0].write_text("77")
    assert values(store().load())[0] == 77
    assert values(first)[0] == 0


def test_sources_that_change_while_they_are_read(store, sources):
    def read(paths, done):
        for path in paths:
            yield array(path)
            sources[-1].write_text("changed")

    with pytest.raises(UserError, match=r"^data.dir=sources has changed while it was read. Start again when"):
        store(read).load()
    sources[-1].write_text("9")
    assert values(store().load()) == NUMBERS


def test_a_source_that_goes_while_others_are_read(store, sources):
    def read(paths, done):
        sources[-1].unlink()
        return map(array, paths[:-1])

    with pytest.raises(UserError, match=r"has changed while it was read"):
        store(read).load()


def test_a_disk_without_room(store, monkeypatch):
    """Before anything is read."""
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(19))
    with pytest.raises(UserError, match=r"cache has 0.0 MB left, and the images take 0.0 MB. Name .*CACHE=FOLDER"):
        store(refuse).load()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(20))
    assert values(store().load()) == NUMBERS


def test_a_folder_that_cannot_be_written(store, tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(UserError, match=r"cache cannot be written: File exists. Name a folder that has room in the"):
        store().load()
