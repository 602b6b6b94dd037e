"""The file that arrays of many files are kept in: written once, mapped to memory, read ahead."""

import hashlib
import json
import logging
import mmap
import os
import threading
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pytest
import torch
from numbered import NUMBERS, in_turn, refuse, values

from ganduel.data import mapped as module


def test_the_arrays_are_in_the_order_of_their_sources(store):
    mapped = store().load()
    assert mapped.rows.shape == (10, 2)
    assert values(mapped) == NUMBERS
    assert mapped.about.missing == {3: "no number"}
    assert mapped.about.checksum == hashlib.sha256(bytes(n for n in NUMBERS for _ in "ab")).hexdigest()


def test_the_file_is_one_of_numpys(store, tmp_path):
    """And nothing else is left of its making."""
    store().load()
    assert np.load(tmp_path / "cache" / "images.npy")[9].tolist() == [9, 9]
    assert sorted(os.listdir(tmp_path / "cache")) == [".lock", "about.json", "images.npy"]


def test_sources_are_read_once(store):
    store().load()
    again = store(refuse).load()
    assert values(again) == NUMBERS
    assert again.about.missing == {3: "no number"}


def test_memory_is_mapped_from_the_file_and_charged_to_nobody(store):
    """A private mapping, which may be written to, counts as memory: the kernel refuses one that is larger than it."""
    mapped = store().load()
    address = mapped.rows.data_ptr()
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    ranges = [(*(int(end, 16) for end in fields[0].split("-")), fields[1], fields[-1]) for fields in maps]
    (protection, path) = next((p, path) for start, stop, p, path in ranges if start <= address < stop)
    assert (protection, path) == ("r--s", str(store().path))


def test_rows_are_read_ahead(store):
    """From the beginning of a page to the end of a row: of 10 rows of 2 bytes behind a header."""
    asked = []

    class Memory(mmap.mmap):
        def madvise(self, *arguments):
            asked.append(arguments)

    mapped = store().load()
    mapped.prefetch(torch.arange(10))
    with open(store().path, "rb") as file:
        mapped = replace(mapped, memory=Memory(file.fileno(), 0, access=mmap.ACCESS_READ))
    mapped.prefetch(torch.tensor([[9], [0]]))
    size = store().path.stat().st_size
    assert asked == [(mmap.MADV_WILLNEED, 0, size), (mmap.MADV_WILLNEED, 0, size - 18)]


# Several processes


def test_one_writes_and_others_wait(store, caplog):
    """The second finds the file complete, and reads nothing."""
    started, go_on = threading.Event(), threading.Event()

    def slowly(paths, done):
        started.set()
        assert go_on.wait(10)
        return in_turn(paths, done)

    with caplog.at_level(logging.INFO):
        writer = threading.Thread(target=store(slowly).load)
        writer.start()
        assert started.wait(10)
        results = []
        reader = threading.Thread(target=lambda: results.append(values(store(refuse).load())))
        reader.start()
        while "another process is decoding the images; waiting for it" not in caplog.text:
            reader.join(0.01)
        go_on.set()
        writer.join()
        reader.join()
    assert results == [NUMBERS]


@pytest.mark.parametrize("locks", [True, False])
def test_processes_that_begin_at_once(store, tmp_path, monkeypatch, locks):
    """Without locks, as on some network file systems, each writes a file of its own, and moves it into place.

    Threads here: a lock is held by an open file, not by a process.
    """
    if not locks:
        monkeypatch.setattr(module, "fcntl", None)
    together = threading.Barrier(3)

    def load(_):
        together.wait(10)
        return values(store().load())

    with ThreadPool(3) as pool:
        assert pool.map(load, range(3), chunksize=1) == [NUMBERS] * 3
    assert values(store().load()) == NUMBERS
    assert not list((tmp_path / "cache").glob("*part*"))


def test_a_file_says_what_it_is_of(store, tmp_path):
    store().load()
    about = json.loads((tmp_path / "cache" / "about.json").read_text())
    assert about["missing"] == {"3": "no number"}
    assert np.array_equal(np.load(tmp_path / "cache" / "images.npy"), store().load().rows)
