"""One tracker, several or none; what one raises is a warning, once."""

import errno
import logging
from pathlib import Path

import pytest
from lightning.pytorch.loggers import CSVLogger, Logger

from ganduel.errors import UserError
from ganduel.run import run, schema
from ganduel.run.trackers import guarded, guarded_trackers
from ganduel.tracking.csv import CSV
from ganduel.tracking.files import rows
from ganduel.tracking.wandb import Wandb

RUN = {"id": "0a1b2c3d", "choices": {"loss": "nonsaturating"}, "overrides": []}
PLAIN = {"_target_": "lightning.pytorch.loggers.CSVLogger", "name": "mine"}


class Failing(Logger):
    """A user's logger, on a full disk from row 2 on."""

    name, version = "failing", 0

    def __init__(self):
        self.steps, self.status = [], None

    def log_hyperparams(self, *args, **kwargs):
        raise NotImplementedError

    def log_metrics(self, metrics, step=None):
        self.steps.append(step)
        if step != 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    def finalize(self, status):
        self.status = status


@pytest.mark.parametrize(
    ("word", "kinds"),
    [
        ("tracking=wandb", {"wandb": Wandb}),
        ("tracking=none", {}),
        ("tracking=[]", {}),
        ("tracking=[csv,wandb]", {"csv": CSV, "wandb": Wandb}),
        ("tracking=[none,csv]", {"csv": CSV}),
    ],
)
def test_trackers_by_name(compose, tmp_path, word, kinds):
    values = {**compose(word), "run": RUN}
    schema.check(values)
    assert list(values["tracking"]) == list(kinds)
    assert [type(tracker) for tracker in guarded_trackers(values, tmp_path)] == list(kinds.values())


@pytest.mark.parametrize("tracking", [PLAIN, {"mine": PLAIN}])
def test_a_users_own_stands_alone_or_under_a_name(compose, tmp_path, tracking):
    values = {**compose(), "run": RUN, "tracking": tracking}
    schema.check(values)
    (tracker,) = guarded_trackers(values, tmp_path)
    assert isinstance(tracker, CSVLogger)
    assert Path(tracker.log_dir) == tmp_path / "mine" / "version_0"


def test_with_others_each_has_a_name(compose):
    with pytest.raises(
        UserError, match=r"^tracking=lightning.*CSVLogger must give each tracking a name, as tracking.wa"
    ):
        schema.check({**compose(), "tracking": {**PLAIN, **compose("tracking=csv")["tracking"]}})


def test_of_several_ranks_the_first_alone_has_trackers(compose, tmp_path, monkeypatch):
    """A user's logger need not know of ranks."""
    monkeypatch.setenv("RANK", "1")
    assert guarded_trackers({**compose(), "tracking": PLAIN}, tmp_path) == []


def test_a_tracker_that_fails_is_named_once_and_the_run_is_complete(tiny, images, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger="ganduel")
    values = {**tiny("callback=[statistics]", "log_every=2"), "tracking": {"mine": {"_target_": f"{__name__}.Failing"}}}
    values["run"] = {"choices": {"loss": "nonsaturating"}}
    failing = Failing()
    monkeypatch.setattr("ganduel.run.trackers.build_trackers", lambda *_: {"tracking.mine": failing})
    assert run.fit(values, tmp_path, data=images)["status"] == "finished"
    assert [row["iteration"] for row in rows(tmp_path / "metrics.jsonl")] == [1, 2, 4, 6]
    assert failing.steps == [1, 2, 4, 6]  # it may come back
    assert failing.status == "success"
    said = [record.getMessage() for record in caplog.records if "fails" in record.getMessage()]
    assert len(said) == 1
    assert said[0].startswith(
        "Failing (tracking.mine) fails: OSError: [Errno 28] No space left on device (Failing.log_me"
    )
    assert said[0].endswith(f"test_trackers.py, line 35). The record in {tmp_path} is complete without it.")


def test_one_of_ours_that_fails_hinders_no_other(tmp_path, caplog):
    """When it begins, takes a row and ends, there is one line."""
    caplog.set_level(logging.WARNING, logger="ganduel")
    tracker = CSV(tmp_path / "a file")
    (tmp_path / "a file").write_text("")
    guarded(tracker, "tracking.csv", tmp_path)
    tracker.begin(0)
    tracker.log_metrics({"loss/d": 1.0}, step=1)
    tracker.finish({})
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["CSV (tracking.csv) fails"]
