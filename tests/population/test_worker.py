"""Several processes, each with its part of the members."""

import json
import sys

import pytest
from small import NETWORKS

from ganduel.population import processes, worker
from ganduel.population.trainer import MemberSpec
from ganduel.run import prepare
from ganduel.tracking.run_logger import write_config

WORDS = ("data=ring8", *NETWORKS, "batch_size=8", "tracking=none", "callback=[statistics]", "trainer.accelerator=cpu")


def test_a_further_process_trains_the_folders_it_is_given(tiny, tmp_path, monkeypatch):
    """One from its beginning, one from its checkpoint."""
    for name in "ab":
        values = tiny("data=ring8", "tracking=none", "callback=[statistics]", f"seed={ord(name)}")
        write_config(tmp_path / name, prepare.start(values, tmp_path / name, {}, ()))
    for folders, steps in ((["a"], 6), (["a", "b"], 6)):
        monkeypatch.setattr(sys, "argv", ["worker", *(str(tmp_path / name) for name in folders)])
        with pytest.raises(SystemExit) as ended:
            worker.main()
        assert ended.value.code is None
        for name in folders:
            assert json.loads((tmp_path / name / "summary.json").read_text())["iteration"] == steps


@pytest.mark.usefixtures("untyped")
def test_a_further_process_has_the_secrets_that_no_file_has(tmp_path, monkeypatch):
    values = {"tracking": {"api_key": "hunter2"}, "run": {"overrides": ["tracking.api_key=hunter2"]}}
    write_config(tmp_path, values)
    assert "hunter2" not in (tmp_path / "config.yaml").read_text()
    spec = MemberSpec("a", values, tmp_path)
    started = []
    monkeypatch.setattr(processes, "Popen", lambda command, env, **_: started.append((command, env)))
    processes.start([spec], 1, 2, {"accelerator": "cpu"})
    ((command, environment),) = started
    monkeypatch.setattr(sys, "argv", command[2:])
    monkeypatch.setenv(worker.CONFIG_WITH_SECRETS, environment[worker.CONFIG_WITH_SECRETS])
    monkeypatch.setattr("ganduel.population.trainer.train_members", lambda specs, bar: started.append(specs[0].values))
    with pytest.raises(SystemExit):
        worker.main()
    assert started[1]["tracking"] == values["tracking"]


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
