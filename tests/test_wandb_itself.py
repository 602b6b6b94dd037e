"""W&B itself in processes of their own, as users run it: what it writes, and that no failure of it is one of the run.

No test needs a network; those that want a server have one on this machine's loopback. What is written offline is read
back by W&B's own tool. `tests/tracking/test_wandb.py` has the failures that cannot be had on demand.
"""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
import yaml
from small import EVALUATION, SMALL

from ganduel.tracking.files import rows

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
KEY = "0123456789" * 4
WORDS = (*SMALL, *EVALUATION, "k=2", "trainer.max_steps=5", "log_every=2")


def environment(home, **variables):
    """No key, no settings file and no variable of this machine's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_") and name != "NETRC"}
    return {**kept, "HOME": str(home), "OMP_NUM_THREADS": "1", "TERM": "dumb", **variables}


def train(folder, *words, **variables):
    """Run the program with no terminal; returns how it ended."""
    command = [sys.executable, str(ROOT / "train.py"), *WORDS, f"hydra.run.dir={folder}", *words]
    folder.parent.mkdir(exist_ok=True)
    given = environment(folder.parent, **variables)
    return subprocess.run(command, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=170)


def told(folder):
    """The program's lines on W&B."""
    lines = (folder / "train.log").read_text().splitlines()
    return [line.partition("ganduel: ")[2] for line in lines if "W&B" in line or "wandb" in line]


def inspect(folder, *words):
    """A run's file as W&B's own tool reads it."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *words, str(folder)]
    done = subprocess.run(command, env=environment(folder), capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()] if not words else json.loads(done.stdout)


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One run without a key, at a terminal that would show a question; and one with tracking=none."""
    base = tmp_path_factory.mktemp("runs")
    offline, alone = base / "offline", base / "alone"
    master, slave = os.openpty()
    drain = ThreadPoolExecutor().submit(read, master)
    command = [sys.executable, str(ROOT / "train.py"), *WORDS, f"hydra.run.dir={offline}", "tracking.tags=[mine]"]
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


def read(master):
    """All that comes out of a terminal."""
    text = b""
    while True:
        try:
            text += os.read(master, 4096)
        except OSError:
            return text.decode()


@pytest.fixture(scope="module")
def records(folders):
    (folder,) = (folders[0] / "wandb").glob("offline-run-*")
    return inspect(folder)


def history(records):
    return [record["history"]["item"] for record in records if record["type"] == "history"]


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


def test_an_unreachable_server_means_offline(tmp_path):
    """Nothing listens on port 9, the one for discarding."""
    folder = tmp_path / "runs" / "run"
    done = train(folder, "tracking.init_timeout=2", WANDB_API_KEY=KEY, WANDB_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "summary.json").read_text())["status"] == "finished"
    (line,) = told(folder)
    assert "connection refused" in line
    (offline,) = (folder / "wandb").glob("offline-run-*")
    assert line.endswith(f". To upload it later: wandb sync {offline}")
    assert len(history(inspect(offline))) == 5
    assert line in done.stdout.splitlines()


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


class Server(BaseHTTPRequestHandler):
    """As much of W&B's server as a run needs."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/graphql":
            asked = json.loads(body)
            self.server.asked.append((asked["operationName"], asked.get("variables") or {}))
            self.answer({"data": self.data(*self.server.asked[-1])})
        else:
            if self.path.endswith("/file_stream"):
                self.server.streamed.append(json.loads(body))
            self.answer({"limits": {}})

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.files.append(self.path)
        self.answer({})

    def data(self, operation, given):
        entity = {"id": "E", "name": "us"}
        if operation == "UpsertBucket":
            project = {"id": "P", "name": given.get("project"), "entity": entity}
            bucket = {"id": "B", "name": given["name"], "project": project, "config": given.get("config")}
            bucket |= {"displayName": given.get("displayName"), "description": "", "sweepName": None}
            return {"upsertBucket": {"bucket": {**bucket, "historyLineCount": 0}, "inserted": True}}
        if operation == "RunResumeStatus":
            return {"model": {"id": "P", "name": "p", "entity": entity, "bucket": None}}
        if operation == "CreateRunFiles":
            address = f"http://127.0.0.1:{self.server.server_port}/upload"
            files = [{"name": name, "uploadUrl": f"{address}/{name}"} for name in given["files"]]
            return {"createRunFiles": {"runID": "B", "uploadHeaders": [], "files": files}}
        if operation == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        return {}

    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server():
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    listening.handle_error = lambda *arguments: None  # a client that hangs up
    listening.daemon_threads = True
    listening.asked, listening.streamed, listening.files = [], [], []
    Thread(target=listening.serve_forever, daemon=True).start()
    yield listening
    listening.shutdown()
    listening.server_close()


def test_a_run_with_a_key_is_online(tmp_path, server):
    folder = tmp_path / "runs" / "run"
    address = f"http://127.0.0.1:{server.server_port}"
    done = train(folder, "tracking.entity=us", WANDB_API_KEY=KEY, WANDB_BASE_URL=address)
    assert done.returncode == 0, done.stderr
    name = yaml.safe_load((folder / "config.yaml").read_text())["run"]["id"]
    assert told(folder) == [f"W&B: online (there is an API key): {address}/us/ganduel/runs/{name}"]
    begun = next(given for operation, given in server.asked if operation == "UpsertBucket")
    assert (begun["name"], begun["groupName"][:23], begun["jobType"]) == (
        name,
        "nonsaturating-mlp-mnist",
        "nonsaturating",
    )
    streamed = [
        part["files"].get("wandb-history.jsonl", {}).get("content", []) for part in server.streamed if "files" in part
    ]
    assert [json.loads(row)["images_seen"] for part in streamed for row in part] == [0, 16, 32, 64, 80]
    assert len([path for path in server.files if "media/images/samples" in path]) == 3
    assert {part.get("exitcode") for part in server.streamed if part.get("complete")} == {0}


def test_a_server_that_goes_away_midway_costs_a_bounded_time_at_the_end(tmp_path, server):
    folder = tmp_path / "runs" / "run"
    address = f"http://127.0.0.1:{server.server_port}"
    words = ("trainer.max_steps=3000", "log_every=10", "callback=statistics", "tracking.finish_timeout=3")
    variables = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": address}
    with ThreadPoolExecutor() as pool:
        running = pool.submit(train, folder, *words, **variables)
        while not (folder / "metrics.jsonl").exists() and not running.done():
            time.sleep(0.1)
        server.shutdown()
        server.server_close()
        done = running.result(170)
    assert done.returncode == 0, done.stderr
    assert len(told(folder)) == 2
    (live,) = (folder / "wandb").glob("run-*")
    assert told(folder)[1] == f"W&B has not taken everything. To upload the rest: wandb sync --include-online {live}"
    assert len(history(inspect(live))) == 301
    finished = json.loads((folder / "summary.json").read_text())
    assert finished["status"] == "finished"


def test_a_signal_to_the_whole_process_group_ends_it_well(tmp_path):
    """As Ctrl-C at a terminal is; W&B's own process is not to die of it."""
    folder = tmp_path / "run"
    words = ("trainer.max_steps=1000000", "log_every=10", "callback=statistics")
    command = [sys.executable, str(ROOT / "train.py"), *WORDS, f"hydra.run.dir={folder}", *words]
    process = subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.DEVNULL, start_new_session=True)
    while not (folder / "metrics.jsonl").exists() and process.poll() is None:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    summary = json.loads((folder / "summary.json").read_text())
    (offline,) = (folder / "wandb").glob("offline-run-*")
    told = inspect(offline, "--summary")
    assert told["exit_code"] == 0
    assert told["summary"]["status"] == "stopped"
    assert told["summary"]["iteration"] == summary["iteration"]
    assert len(history(inspect(offline))) == len(rows(folder / "metrics.jsonl"))
