"""The script runs to its end, and says what it is asked for."""

import json
import sys

import pytest
from script_modules import imported


@pytest.mark.slow
def test_results(tmp_path, monkeypatch):
    out = tmp_path / "results.json"
    monkeypatch.setattr(sys, "argv", ["larger_than_memory.py", "--images", "1000", "--side", "8", "--out", str(out)])
    monkeypatch.setenv("GANDUEL_CACHE", "")
    with imported("larger_than_memory") as module:
        module.main()
    results = json.loads(out.read_text())
    assert results["bytes"] == 1000 * 3 * 8 * 8
    for row in results["rows"].values():
        assert 0 < row["cpu_ms"] < 1e4
        assert row["own_mb_at_the_end"] > 50
    assert set(results["rows"]) == {"tensor", "file"}
