"""How a run ended is told from its summary and its last row."""

import math
from pathlib import Path

import numpy as np
import pytest
from golden import make_run

from ganduel.compare.reading import Run, read
from ganduel.doctor.ending import ended_badly, not_a_number


def ended(folder: Path, **more) -> Run:
    run = read(make_run(folder, **more))
    assert isinstance(run, Run)
    return run


def test_a_run_that_diverged_says_where(tmp_path):
    reason = "D's loss became nan in iteration 7; the run ends."
    (finding,) = ended_badly(ended(tmp_path / "a", status="diverged", reason=reason))
    assert (finding.name, finding.severity) == ("diverged", "error")
    assert finding.evidence == "D's loss became nan in iteration 7; the run ends (last row: iteration 500)"
    assert f"ganduel sample {tmp_path / 'a'}" in finding.advice


@pytest.mark.parametrize(
    ("status", "reason", "name", "severity", "typed"),
    [
        ("failed", "no room", "failed", "error", "tail "),
        ("stopped", "SIGTERM", "stopped", "note", "ganduel train resume="),
        (None, None, "not ended", "note", "ganduel train resume="),
    ],
)
def test_one_that_did_not_come_to_its_end(tmp_path, status, reason, name, severity, typed):
    (finding,) = ended_badly(ended(tmp_path / "a", status=status, reason=reason))
    assert (finding.name, finding.severity) == (name, severity)
    assert typed in finding.advice
    assert str(tmp_path / "a") in finding.advice


def test_one_that_finished_is_fine(tmp_path):
    assert ended_badly(ended(tmp_path / "a")) == not_a_number(ended(tmp_path / "b")) == []


def test_a_loss_that_is_no_number_names_the_last_iteration_before():
    values = {"loss/d": [1.0, 0.9, math.nan], "loss/g": [0.7, 0.7, 0.7], "iteration": [1.0, 50.0, 100.0]}
    run = Run(Path("a"), {}, "finished", curves=arrays(values), last={key: v[-1] for key, v in values.items()})
    (finding,) = not_a_number(run)
    assert finding.evidence == "loss/d is nan, finite up to iteration 50"


def arrays(values: dict[str, list[float]]) -> dict[str, np.ndarray]:
    return {key: np.array(column) for key, column in values.items()}
