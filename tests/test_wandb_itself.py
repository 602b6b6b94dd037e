"""W&B itself in processes of their own, as users run it: what it writes, and that no failure of it is one of the run.

No test needs a network; those that want a server have one on this machine's loopback. What is written offline is read
back by W&B's own tool. `tests/tracking/test_wandb.py` has the failures that cannot be had on demand.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from wandb_programs import ROOT, WORDS, environment, history, inspect, read, told

from ganduel.tracking.files import rows

pytestmark = pytest.mark.slow


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One run without a key, at a terminal that would show a question; and one with tracking=none."""
    base = tmp_path_factory.mktemp("runs")
    offline, alone = base / "offline", base / "alone"
    master, slave = os.openpty()
    drain = ThreadPoolExecutor().submit(read, master)
    command = [sys.executable, str(ROOT / "train.py"), *WORDS, f"hydra.run.dir={offline}", "tracking.wandb.tags=[mine]"]
    first = subprocess.Popen(command, env=environment(base), stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    guard = (
        f"import runpy, sys; sys.argv = {[command[1], *WORDS, f'hydra.run.dir={alone}', 'tracking=none']!r};"
        "runpy.run_path(sys.argv[0], run_name='__main__'); sys.exit('wandb' in sys.modules)"
    )
    second = subprocess.Popen([sys.executable, "-c", guard], env=environment(base), stderr=subprocess.PIPE, text=True)
    assert first.wait(170) == 0, drain.result(5)
    error = second.communicate(timeout=170)[1]
    assert second.returncode == 0, error
    return offline, alone


@pytest.fixture(scope="module")
def records(folders):
    (folder,) = (folders[0] / "wandb").glob("offline-run-*")
    return inspect(folder)


def test_an_offline_run_says_so_once(folders):
    (folder,) = (folders[0] / "wandb").glob("offline-run-*")
    why = "no API key; wandb login takes one"
    assert told(folders[0]) == [f"W&B: offline ({why}). To upload it later: wandb sync {folder}"]


def test_its_rows_are_those_on_record(folders, records):
    recorded = {row["iteration"]: row for row in rows(folders[0] / "metrics.jsonl")}
    logged = {row["iteration"]: row for row in history(records)}
    assert list(logged) == [0, 1, 2, 4, 5]
    for iteration, row in logged.items():
        assert row["images_seen"] == iteration * 16
        assert row["_step"] == iteration
        assert recorded.get(iteration, {}).items() <= row.items()
    (x,) = [record["metric"] for record in records if record["type"] == "metric" and "glob_name" in record["metric"]]
    assert (x["glob_name"], x["step_metric"]) == ("*", "images_seen")


def test_its_histograms_are_those_on_record(folders, records):
    recorded = {row["iteration"]: row for row in rows(folders[0] / "histograms.jsonl")}
    logged = {row["iteration"]: row for row in history(records) if "hist/d_real.values" in row}
    assert recorded.keys() == logged.keys() == {1, 2, 4, 5}
    for n, row in logged.items():
        assert row["hist/d_real.values"] == recorded[n]["d/real"]
        assert row["hist/d_fake.values"] == recorded[n]["d/fake"]
        assert row["hist/d_fake.bins"] == [i / 32 for i in range(33)]


def test_its_pictures_are_those_on_record(folders, records):
    (folder,) = (folders[0] / "wandb").glob("offline-run-*")
    shown = {row["iteration"]: row["samples/fake.path"] for row in history(records) if "samples/fake.path" in row}
    assert shown.keys() == {0, 5}
    for n, path in shown.items():
        assert (folder / "files" / path).read_bytes() == (folders[0] / f"samples/iteration_{n:08d}.png").read_bytes()
    assert "samples/real.path" in history(records)[0]
    assert history(records)[-1]["samples/fake.caption"].startswith("iteration 5, 80 images")


def test_its_name_group_and_tags_tell_the_experiment(folders, records):
    (begun,) = [record["run"] for record in records if record["type"] == "run"]
    config = begun["config"]["update"]
    assert begun["run_id"] == config["run"]["id"]
    assert begun["display_name"] == "offline"
    assert begun["run_group"].startswith("nonsaturating-mlp-mnist-k2-batch_size=8-model.discriminator.hidden=[16]-")
    assert begun["job_type"] == "nonsaturating"
    assert begun["tags"] == ["nonsaturating", "mlp", "mnist", "k2", "seed0", "mine"]
    assert config["model"]["generator"]["hidden"] == [16]


def test_its_end_is_told(folders):
    (folder,) = (folders[0] / "wandb").glob("offline-run-*")
    told = inspect(folder, "--summary")
    assert (told["state"], told["exit_code"], told["console_lines"]) == ("finished", 0, 0)
    assert told["summary"]["status"] == "finished"
    assert told["summary"]["iteration"] == 5
    assert told["summary"]["loss/d"] == json.loads((folders[0] / "summary.json").read_text())["metrics"]["loss/d"]


def test_watching_changes_no_bit(folders):
    """And with tracking=none nothing imports W&B: that run would have failed."""
    watched, alone = map(weights, folders)
    assert watched.keys() == alone.keys()
    assert all(torch.equal(watched[key], alone[key]) for key in watched)
    assert not (folders[1] / "wandb").exists()


DRIVER = """
import logging, sys
from pathlib import Path
from ganduel.tracking.wandb import Wandb
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
base = Path(sys.argv[1])
choices = {"loss": "nonsaturating", "penalty": "none", "model": "mlp", "data": "mnist"}
for name, id, iterations in ("first", "aaaaaaaa", (1, 2)), ("second", "bbbbbbbb", (1,)), ("first", "aaaaaaaa", (2, 3)):
    (base / name).mkdir(exist_ok=True)
    run = {"id": id, "choices": choices, "overrides": sys.argv[2:]}
    tracker = Wandb(base / name, {"seed": 0, "k": 1, "batch_size": 8, "run": run})
    tracker.begin(0)
    for iteration in iterations:
        tracker.log_metrics({"iteration": iteration}, step=iteration)
    tracker.finish({"status": "finished", "iteration": iteration, "metrics": {}})
"""


def test_runs_of_one_process_and_a_resumed_one(tmp_path):
    """Two ids, and the resumed run has its own again; all with a key that cannot be one, and a secret that is kept."""
    command = [sys.executable, "-c", DRIVER, str(tmp_path), "data.token=hush"]
    given = environment(tmp_path, WANDB_API_KEY="mistyped")
    done = subprocess.run(command, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("W&B: offline (WANDB_API_KEY invalid: ") for line in lines)
    made = (
        sorted((tmp_path / "first" / "wandb").glob("offline-run-*")),
        [*(tmp_path / "second" / "wandb").glob("offline-run-*")],
    )
    steps = [[row["_step"] for row in history(inspect(folder))] for folders in made for folder in folders]
    assert steps == [[1, 2], [2, 3], [1]]
    ids = [folder.name.split("-")[3] for folders in made for folder in folders]  # the next of one second ends in -1
    assert ids == ["aaaaaaaa", "aaaaaaaa", "bbbbbbbb"]
