"""What the environment variables of a process say: its rank, before any process group exists, its parent, its cache."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
PARENT_PID = "GANDUEL_PARENT"  # of a process that another one of the program has started


def rank_from_environment() -> int:
    """This process's rank as its launcher states it: 0 for the first process of all, another number for every other."""
    return max(int(os.environ.get(name) or 0) for name in RANKS)


def end_with_parent(end: Callable[[], Any]) -> Thread:
    """Call a function, from a thread, as soon as the process that has started this one is gone."""
    parent = int(os.environ.get(PARENT_PID, os.getppid()))  # it may be gone by now
    thread = Thread(target=call_after, args=(parent, end), daemon=True)
    thread.start()
    return thread


def call_after(parent: int, end: Callable[[], Any]) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    end()


def cache_folder(name: str) -> Path:
    """Where what can be made or downloaded again is kept: in $GANDUEL_CACHE, or ganduel/ in the user's cache folder."""
    cache = os.environ.get("GANDUEL_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "ganduel"
    return Path(cache).expanduser() / name
