"""Several processes, each with its part of the members."""

import json
import sys

import pytest
from small import NETWORKS

from ganduel.population import worker
from ganduel.run import prepare

WORDS = ("data=ring8", *NETWORKS, "batch_size=8", "tracking=none", "callback=[statistics]", "trainer.accelerator=cpu")


def test_a_further_process_trains_the_folders_it_is_given(tiny, tmp_path, monkeypatch):
    """One from its beginning, one from its checkpoint."""
    for name in "ab":
        (tmp_path / name).mkdir()
        values = tiny("data=ring8", "tracking=none", "callback=[statistics]", f"seed={ord(name)}")
        prepare.start(values, tmp_path / name, {}, ())
    for folders, steps in ((["a"], 6), (["a", "b"], 6)):
        monkeypatch.setattr(sys, "argv", ["worker", *(str(tmp_path / name) for name in folders)])
        with pytest.raises(SystemExit) as ended:
            worker.main()
        assert ended.value.code is None
        for name in folders:
            assert json.loads((tmp_path / name / "summary.json").read_text())["iteration"] == steps


@pytest.mark.slow
@pytest.mark.parametrize("apart", ["trainer.devices=2", "population.processes=2"])
def test_members_are_dealt_out_to_processes_with_the_same_result(command, tmp_path, apart):
    for folder, word in (("1", "population.processes=1"), ("2", apart)):
        words = ("population.seeds=3", "trainer.max_steps=20", "trainer.precision=64-true", f"hydra.run.dir={folder}")
        outcome = command(*WORDS, *words, word, "log_every=5")
        assert outcome.code == 0, outcome.err
    for seed in range(3):
        one, two = (json.loads((tmp_path / d / f"seed={seed}" / "summary.json").read_text()) for d in "12")
        assert one["status"] == two["status"] == "finished"
        for key in ("loss/d", "loss/g", "weight/norm_d"):
            assert one["metrics"][key] == pytest.approx(two["metrics"][key], rel=1e-9)
