"""Several seeds of an experiment become one file, with the interval that scipy gives."""

import json
import sys

import pytest
from scipy import stats
from script_modules import imported


@pytest.fixture
def reproduce():
    with imported("reproduce") as module:
        yield module


def test_interval_is_students(reproduce):
    values = [7.0, 8.0, 8.0, 6.0, 8.0]
    expected = stats.t.interval(0.95, 4, loc=7.4, scale=stats.sem(values))
    assert reproduce.interval(values) == pytest.approx(list(expected))
    assert reproduce.interval([1.0]) is None


def test_finished_runs_are_read_and_not_run_again(reproduce, tmp_path, monkeypatch, capsys):
    for seed in range(3):
        folder = tmp_path / f"seed{seed}"
        folder.mkdir()
        (folder / "config.yaml").write_text("seed: 0\nrun: {}\n")
        metrics = {"modes/points_2500": 6.0 + seed, "loss/d": 1.0, "grad/norm_d": 2.0, "speed/images_per_second": 9.0}
        metrics |= {"loss/penalty_d": 0.1, "logit/real_std": 1.0, "saturation/slope_saturating": 0.2}
        summary = {"status": "finished", "iteration": 5, "seconds": 1.25, "metrics": metrics}
        (folder / "summary.json").write_text(json.dumps(summary))
    monkeypatch.setattr(reproduce, "subprocess", None)
    out = tmp_path / "out.json"
    words = ["reproduce.py", "ring8_r1", "log_every=500", "--seeds", "3", "--folder", str(tmp_path), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    reproduce.main()
    results = json.loads(out.read_text())
    assert results["command"] == "python train.py -m experiment=ring8_r1 log_every=500 seed=0,1,2"
    assert list(results["metrics"]) == ["modes/points_2500"]
    assert results["metrics"]["modes/points_2500"]["mean"] == 7
    assert results["metrics"]["modes/points_2500"]["seeds"] == [6, 7, 8]
    assert results["seconds"] == [1.2, 1.2, 1.2]
    assert "modes/points_2500: 7 " in capsys.readouterr().out
