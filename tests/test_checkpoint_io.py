"""Checkpoints of a GPU are written by a thread, as if they had been written at once."""

import threading

import pytest
import torch

from ganduel import checkpoint, checkpoint_io
from ganduel.checkpoint import FORMAT, read
from ganduel.checkpoint_io import AtomicCheckpointIO

OURS = {
    "ganduel": {"format": FORMAT, "config": {"seed": 0}, "shape": [1], "classes": None},
    "state_dict": {"w": torch.arange(20.0)},
}


@pytest.fixture
def in_background(monkeypatch):
    """Checkpoints are treated as if they came from a GPU."""
    monkeypatch.setattr(checkpoint_io, "on_gpu", lambda _: True)


@pytest.mark.usefixtures("in_background")
def test_what_a_thread_writes_is_what_there_was_when_it_was_asked_to(tmp_path, monkeypatch):
    """Tensors and lists change meanwhile; the end waits for the file."""
    path, go, write = tmp_path / "last.ckpt", threading.Event(), checkpoint_io.write
    monkeypatch.setattr(checkpoint_io, "write", lambda *a: go.wait(10) and write(*a))
    weights, rates = torch.arange(20.0).view(4, 5).T, [0.1]
    saving = AtomicCheckpointIO()
    saving.save_checkpoint({**OURS, "weights": weights, "schedule": {"rates": rates}}, path)
    assert not path.exists()
    weights.zero_()
    rates.append(0.2)
    go.set()
    saving.teardown()
    found = read(path)
    assert torch.equal(found["weights"], torch.arange(20.0).view(4, 5).T)
    assert found["schedule"] == {"rates": [0.1]}


@pytest.mark.usefixtures("in_background")
@pytest.mark.parametrize("end", ["save_checkpoint", "teardown"])
def test_what_goes_wrong_in_a_thread_is_raised_by_the_next_save_or_at_the_end(tmp_path, monkeypatch, end):
    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    path, saving = tmp_path / "last.ckpt", AtomicCheckpointIO()
    saving.save_checkpoint(OURS, path)
    saving.teardown()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "fsync", refuse)
        saving.save_checkpoint({**OURS, "more": 1}, path)
        with pytest.raises(OSError, match="No space left"):
            saving.teardown() if end == "teardown" else saving.save_checkpoint(OURS, path)
    assert "more" not in read(path)
    saving.save_checkpoint({**OURS, "more": 2}, path)
    saving.teardown()
    assert read(path)["more"] == 2
