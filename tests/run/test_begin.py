"""A run goes on record when its training starts: what fails before leaves its folder as it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganduel.checkpoint import LAST
from ganduel.errors import UserError
from ganduel.run import prepare, run

WORDS = ("data=ring8", "tracking=none", "callback=[statistics]", "checkpoint_min_seconds=0")


@pytest.fixture
def begin(tiny: Callable[..., dict], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A function that gives the config of a new run, which its folder does not have yet."""
    return lambda *words: prepare.start(tiny(*WORDS, *words), tmp_path, {"loss": "any"}, words)


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_run_that_is_refused_leaves_nothing(begin, tmp_path: Path):
    """By torch's optimizer, which is built when Lightning asks for it."""
    with pytest.raises(UserError, match="Invalid learning rate"):
        run.fit(begin("optimizer.generator.lr=-1"), tmp_path)
    assert files(tmp_path) == {}


def test_a_run_whose_checkpoint_does_not_fit_keeps_its_record(begin, tmp_path: Path):
    """As when a user has changed the code of a network: it is found when Lightning loads the weights."""
    values, path = begin("trainer.max_steps=3"), tmp_path / "checkpoints" / LAST
    run.fit(values, tmp_path)
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"].popitem()
    torch.save(checkpoint, path)
    before = files(tmp_path)
    longer = {**values, "trainer": {**values["trainer"], "max_steps": 5}}
    with pytest.raises(RuntimeError, match="Missing key"):
        run.fit(longer, tmp_path, path)
    assert files(tmp_path) == before


def test_a_new_run_drops_what_another_that_never_began_has_left(begin, tmp_path: Path):
    """A kill may come after the row of iteration 0 and before the checkpoint."""
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 0, "loss/d": 1.0}\n')
    run.fit(begin("trainer.max_steps=1"), tmp_path)
    assert '"iteration": 0' not in (tmp_path / "metrics.jsonl").read_text()
