"""A checkpoint is whole or absent, and each file that is none is told apart in one line."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganduel import checkpoint
from ganduel.checkpoint import BEST, FORMAT, INITIAL, LAST, latest, read
from ganduel.checkpoint_io import AtomicCheckpointIO
from ganduel.errors import UserError

ENTRY = {"format": FORMAT, "config": {"seed": 0}, "shape": [1], "classes": None}
OURS = {"ganduel": ENTRY, "state_dict": {"w": torch.arange(20.0)}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoints" / "last.ckpt"


@pytest.fixture
def sound(path):
    """A sound checkpoint in its place."""
    saving = AtomicCheckpointIO()
    saving.save_checkpoint(OURS, path)
    saving.teardown()
    return path


def test_round_trip(sound):
    """The folder is made where it is missing; nothing else is left beside the file."""
    found = read(sound)
    assert found["ganduel"] == OURS["ganduel"]
    assert torch.equal(found["state_dict"]["w"], OURS["state_dict"]["w"])
    assert [file.name for file in sound.parent.iterdir()] == ["last.ckpt"]


def test_an_older_format_is_read(path):
    """Format 1 says nothing of classes."""
    entry = {"format": 1, "config": {"seed": 0}, "shape": [1]}
    AtomicCheckpointIO().save_checkpoint({"ganduel": entry}, path)
    assert read(path)["ganduel"] == entry


class Unsaveable:
    def __reduce__(self):
        raise KeyboardInterrupt


def test_a_write_that_fails_leaves_the_old_file(sound):
    """Interrupted in the middle of pickling, with half the file written."""
    before = sound.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({**OURS, "more": [torch.zeros(1000), Unsaveable()]}, sound)
    assert sound.read_bytes() == before
    assert [file.name for file in sound.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(sound, monkeypatch, call):
    before = sound.read_bytes()

    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, call, refuse)
    with pytest.raises(OSError, match="No space left"):
        AtomicCheckpointIO().save_checkpoint({**OURS, "more": 1}, sound)
    assert sound.read_bytes() == before
    assert [file.name for file in sound.parent.iterdir()] == ["last.ckpt"]


def test_the_file_is_synced_before_it_takes_its_name(path, monkeypatch):
    """In the target's own folder, so that the rename is atomic."""
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(checkpoint.os, "fsync", lambda file: calls.append("fsync") or fsync(file))
    monkeypatch.setattr(
        checkpoint.os, "replace", lambda a, b: calls.append(("replace", a.parent == b.parent)) or replace(a, b)
    )
    AtomicCheckpointIO().save_checkpoint(OURS, path)
    assert calls == ["fsync", ("replace", True)]


def test_missing(path):
    with pytest.raises(UserError, match=r"there is no checkpoint .*last\.ckpt"):
        read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_damage_of_any_kind_is_one_line(sound, data):
    """Cut off anywhere, or any few bytes changed: read as it was, or refused; never another error."""
    content = bytearray(sound.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=20)):
            content[place] = data.draw(st.integers(0, 255))
    damaged = sound.with_name("damaged.ckpt")
    damaged.write_bytes(content)
    try:
        read(damaged)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017 - most damage is noticed, not all


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.sampled_from([b"", b"\x80\x02", b"PK\x03\x04", b"\x1f\x8b"]), st.binary(max_size=40))
def test_garbage_is_refused(tmp_path, head, tail):
    path = tmp_path / "garbage.ckpt"
    path.write_bytes(head + tail)
    with pytest.raises(UserError, match=r"garbage\.ckpt is (not a readable checkpoint|a file of torch, but no)"):
        read(path)


@pytest.mark.parametrize("cut", [1, 100, 1000, 10_000])
def test_cut_off(path, cut):
    """Far from its end torch finds nothing where the file's directory should be, and the error is the system's."""
    AtomicCheckpointIO().save_checkpoint({**OURS, "more": torch.zeros(5000)}, path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(UserError, match=r"last\.ckpt is not a readable checkpoint: .*Is it cut off\? Try another"):
        read(path)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], torch.zeros(3), {"ganduel": 1}, {"ganduel": {}}])
def test_foreign(path, content):
    path.parent.mkdir()
    torch.save(content, path)
    with pytest.raises(UserError, match="is a file of torch, but no checkpoint of ganduel"):
        read(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_a_file_is_not_run(path):
    """`weights_only=True`: a checkpoint from elsewhere cannot do anything."""
    path.parent.mkdir()
    torch.save({"ganduel": {"format": 1, "config": os.getcwd}}, path)
    with pytest.raises(UserError, match=r"is not a readable checkpoint: it has objects of Python \(posix\.getcwd\)"):
        read(path)
    path.write_bytes(pickle.dumps(os.getcwd))
    with pytest.raises(UserError, match="is not a readable checkpoint"):
        read(path)


def test_of_a_newer_version(path):
    AtomicCheckpointIO().save_checkpoint({"ganduel": {"format": FORMAT + 1}}, path)
    with pytest.raises(UserError, match=f"has format {FORMAT + 1}, .* reads up to {FORMAT}. Upgrade ganduel"):
        read(path)


def test_a_folder_in_the_place_of_a_file(tmp_path):
    with pytest.raises(UserError, match="is not a readable checkpoint"):
        read(tmp_path)


def test_newest_is_last_or_else_of_the_highest_iteration(tmp_path):
    folder = tmp_path / "checkpoints"
    with pytest.raises(UserError, match=r"has no checkpoint .*last\.ckpt.*a run that has begun"):
        latest(tmp_path)
    folder.mkdir()
    (folder / ".last.part.ckpt").touch()
    with pytest.raises(UserError, match="has no checkpoint"):
        latest(tmp_path)
    for n, name in {0: INITIAL, 900: BEST, 1000: "iteration_00001000.ckpt"}.items():
        AtomicCheckpointIO().save_checkpoint({**OURS, "global_step": n}, folder / name)
        assert latest(tmp_path) == folder / name
    (folder / LAST).touch()
    assert latest(tmp_path) == folder / LAST


@pytest.mark.parametrize("damage", [Path.mkdir, lambda path: path.write_bytes(b"PK\x03\x04")])
def test_without_a_last_checkpoint_that_can_be_read_the_one_before_is_offered(tmp_path, damage):
    """It is not taken unasked: a run would begin anew, and drop what it has logged."""
    folder = tmp_path / "checkpoints"
    for n, name in {0: INITIAL, 900: BEST}.items():
        AtomicCheckpointIO().save_checkpoint({**OURS, "global_step": n}, folder / name)
    damage(folder / LAST)
    assert latest(tmp_path) == folder / LAST
    with pytest.raises(UserError, match=r"last\.ckpt is not .* Remove it to go on from best\.ckpt, at iteration 900\."):
        read(latest(tmp_path))


def test_a_run_whose_only_checkpoint_is_damaged_has_one(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / INITIAL).touch()
    with pytest.raises(UserError, match=r"iteration_00000000\.ckpt is not a readable checkpoint"):
        read(latest(tmp_path))


def test_a_run_has_begun_with_its_first_whole_checkpoint(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / ".last.ckpt.part").touch()
    (folder / ".last.ckpt").touch()
    assert not checkpoint.has_checkpoint(tmp_path)
    (folder / checkpoint.INITIAL).touch()
    assert checkpoint.has_checkpoint(tmp_path)


def test_a_folder_of_runs_is_told_from_one_that_has_not_begun(tmp_path):
    for name in ("b", "a"):
        (tmp_path / "all" / name).mkdir(parents=True)
        (tmp_path / "all" / name / "config.yaml").touch()
    with pytest.raises(UserError, match=rf"all has no checkpoint .* such as {tmp_path / 'all' / 'a'}\."):
        latest(tmp_path / "all")
