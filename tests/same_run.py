"""Runs that must be the same, and callbacks in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from ganduel import checkpoint
from ganduel.run import run
from ganduel.tracking.files import rows

TIMES = {"seconds", "speed/images_per_second"}


def flat(tree: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested containers, by their paths."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else None
    if pairs is None:
        return {path: tree}
    return {name: leaf for key, value in pairs for name, leaf in flat(value, f"{path}/{key}").items()}


def counts_blocks(key: str) -> bool:
    """Whether it is one of Lightning's counts of batches, which are blocks of as many iterations as callbacks allow."""
    return "batch_progress" in key or "_batches_that_stepped" in key or "scheduler_progress" in key


def assert_same_run(one: Path, other: Path, tolerance: float) -> None:
    """Their last checkpoints and their rows are the same but for what was timed and how the run is named."""
    first, second = (flat(checkpoint.read(folder / "checkpoints" / "last.ckpt")) for folder in (one, other))
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, Tensor):
            assert value.dtype == second[key].dtype, key
            assert value.untyped_storage().nbytes() == value.nbytes, f"{key} drags the stack along"
            torch.testing.assert_close(value, second[key], rtol=tolerance, atol=tolerance, msg=key)
        elif "/run/" not in key and not key.endswith("/seconds") and not counts_blocks(key):
            expected = pytest.approx(second[key], rel=tolerance) if isinstance(value, float) else second[key]
            assert value == expected, key
    for name in ("metrics.jsonl", "histograms.jsonl"):
        mine, theirs = rows(one / name), rows(other / name)
        assert len(mine) == len(theirs)
        for row, its in zip(mine, theirs, strict=True):
            assert row.keys() == its.keys()
            for key in row.keys() - TIMES:
                assert row[key] == pytest.approx(its[key], rel=1e3 * tolerance, abs=1e-9), key
    assert {p.relative_to(one) for p in one.rglob("*")} == {p.relative_to(other) for p in other.rglob("*")}


def with_callback(monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], Callback]) -> dict[int, Callback]:
    """Each run gets a callback, made from its config; they are found by the run's seed."""
    build, made = run.Run.build, {}

    def built(self: run.Run, *rest: Any) -> None:
        build(self, *rest)
        made[self.values["seed"]] = make(self.values)
        self.callbacks.insert(-1, made[self.values["seed"]])

    monkeypatch.setattr(run.Run, "build", built)
    return made
