"""The library against a server that is there, that goes away, or that never was."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import yaml
from wandb_programs import KEY, ROOT, WORDS, environment, history, inspect, told, train

from ganduel.tracking.files import rows

pytestmark = pytest.mark.slow


def test_an_unreachable_server_means_offline(tmp_path):
    """Nothing listens on port 9, the one for discarding."""
    folder = tmp_path / "runs" / "run"
    done = train(folder, "tracking.wandb.init_timeout=2", WANDB_API_KEY=KEY, WANDB_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "summary.json").read_text())["status"] == "finished"
    (line,) = told(folder)
    assert "connection refused" in line
    (offline,) = (folder / "wandb").glob("offline-run-*")
    assert line.endswith(f". To upload it later: wandb sync {offline}")
    assert len(history(inspect(offline))) == 5
    assert line in done.stdout.splitlines()


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
    done = train(folder, "tracking.wandb.entity=us", WANDB_API_KEY=KEY, WANDB_BASE_URL=address)
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
    words = ("trainer.max_steps=3000", "log_every=10", "callback=statistics", "tracking.wandb.finish_timeout=3")
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
