"""A metric that was better once, samples that are training images: found beyond noise, and not within it."""

from pathlib import Path

import numpy as np
import pytest

from ganduel.compare.reading import Run
from ganduel.doctor.metrics import late_collapse, lost_modes, memorisation

FD, MODES, RECALL = "fd/mnist_cnn_10k", "modes/points_2500", "recall/mnist_cnn_10k"
COPIES, NEAREST = "copies/mnist_cnn_10k", "nearest/mnist_cnn_10k"


def evaluated(
    metric: str,
    values: list[float],
    floor: float,
    error: float | None = None,
    folder: Path = Path("a"),
    status="finished",
) -> Run:
    """A run with these values of a metric, one every thousand iterations."""
    n = len(values)
    curves = {
        "iteration": 1000 * np.arange(1.0, n + 1),
        metric: np.array(values, dtype=float),
        f"{metric}/floor": np.full(n, floor),
    } | ({} if error is None else {f"{metric}/error": np.full(n, error)})
    last = {key: float(column[-1]) for key, column in curves.items()}
    return Run(folder, {}, status, curves=curves, last=last, protocols={metric: {"hash": "a"}})


def test_a_collapse_names_the_best_and_when_it_began(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.ckpt").touch()
    (finding,) = late_collapse(evaluated(MODES, [5, 8, 7, 4, 3], 8, folder=tmp_path))
    assert finding.evidence == f"{MODES} 8 at iteration 2,000, now 3, since iteration 4,000"
    assert f"ganduel sample {tmp_path / 'checkpoints' / 'best.ckpt'}" in finding.advice
    (without,) = late_collapse(evaluated(MODES, [5, 8, 7, 4, 3], 8))
    assert "best.ckpt" not in without.advice


@pytest.mark.parametrize(
    ("metric", "values", "floor", "error", "collapsed"),
    [
        (FD, [60, 20, 45], 2, None, True),  # beyond 2 · (20 + 2)
        (FD, [60, 20, 43], 2, None, False),
        (FD, [60, 20, 45], 2, 9, False),  # 25 is less than three standard errors
        (FD, [60, 20, 90, 30], 2, None, False),  # it has recovered
        (FD, [60, 20], 2, None, False),
        ("fd/points_10k", [4.0, 0.002, 0.062], 0.0, None, False),  # as on a ring, with all of its modes
        (RECALL, [0.8, 0.8, 0.39], 0.9, None, True),
        (RECALL, [0.8, 0.8, 0.41], 0.9, None, False),
        (MODES, [8, 7, 7, 7], 8, None, False),
        (MODES, [1, 1, 1, 0], 8, None, False),  # it never had them
        (MODES, [8, 8, 8, 6], 8, None, True),
        ("kd/mnist_cnn_10k", [60, 20, 90], 2, None, False),  # no rule
        (FD, [60, 20, float("nan")], 2, None, False),
    ],
)
def test_a_collapse_is_more_than_noise(metric, values, floor, error, collapsed):
    assert bool(late_collapse(evaluated(metric, values, floor, error))) == collapsed


def test_modes_that_are_lost_at_the_end():
    (finding,) = lost_modes(evaluated(MODES, [3, 3, 3], 8))
    assert finding.evidence == f"{MODES} is 3, where real samples have 8"
    assert lost_modes(evaluated(MODES, [3, 3, 3], 8, status="unfinished")) == []  # they may come
    assert lost_modes(evaluated(MODES, [3, 3, 7], 8)) == []


@pytest.mark.parametrize(("copies", "floor", "found"), [(0.2, 0.01, True), (0.04, 0.01, False), (0.2, 0.1, False)])
def test_samples_that_are_training_images(copies, floor, found):
    one, other = evaluated(COPIES, [copies], floor), evaluated(NEAREST, [0.5], 6.25)
    run = Run(
        Path("a"), {}, "finished", curves=one.curves, last={**one.last, **other.last},
        protocols={**one.protocols, **other.protocols},
    )  # fmt: skip
    findings = memorisation(run)
    evidence = f"{COPIES} 20.0%, of held-out samples 1.0%; {NEAREST} 0.5, of held-out samples 6.25"
    assert [finding.evidence for finding in findings] == ([evidence] if found else [])


def test_without_metrics_nothing_is_found():
    run = Run(Path("a"), {}, "finished", curves={"iteration": np.arange(3.0)})
    assert late_collapse(run) == lost_modes(run) == memorisation(run) == []
