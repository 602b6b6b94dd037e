"""A test double of wandb, which keeps what it is told."""

from pathlib import Path
from types import SimpleNamespace

CONFIG = {
    "seed": 3,
    "k": 2,
    "batch_size": 8,
    "data": {"token": "abc"},
    "run": {
        "id": "0a1b2c3d",
        "choices": {"loss": "nonsaturating", "penalty": "r1", "model": "mlp", "data": "mnist"},
        "overrides": [],
    },
}
SUMMARY = {"status": "finished", "reason": None, "iteration": 7, "metrics": {"loss/d": 1.5, "iteration": 6}}


class Run:
    """A run of the stand-in's: it keeps what it is told."""

    def __init__(self, library, arguments):
        self.library, self.arguments = library, arguments
        prefix = "offline-run" if arguments["mode"] == "offline" else "run"
        self.dir = str(Path(arguments["dir"]) / "wandb" / f"{prefix}-1-{arguments['id']}" / "files")
        Path(self.dir).mkdir(parents=True, exist_ok=True)
        self.url = "https://wandb.example/run"
        self.rows, self.summary, self.metrics, self.code = [], {}, [], None

    def define_metric(self, name, step_metric):
        self.metrics.append((name, step_metric))

    def log(self, row, step=None, commit=None):
        self.library.log(row)
        self.rows.append((step, row))

    def finish(self, exit_code):
        self.library.finish()
        self.code = exit_code


class Library:
    """In W&B's place. What one of its hooks does can be replaced: raise, or hang."""

    Settings = type("Settings", (dict,), {"model_fields": {"silent", "console", "init_timeout"}})
    Histogram = Image = staticmethod(lambda *args, **kwargs: (args, kwargs))

    def __init__(self):
        self.runs, self.teardowns, self.mode, self.key = [], 0, "online", True
        self.begin = self.log = self.finish = lambda *arguments: None

    def setup(self, settings):
        return SimpleNamespace(settings=SimpleNamespace(mode=self.mode))

    def login(self, prompt, verify):
        return self.key

    def init(self, **arguments):
        self.begin(arguments["mode"])
        self.runs.append(Run(self, arguments))
        return self.runs[-1]

    def teardown(self):
        self.teardowns += 1
