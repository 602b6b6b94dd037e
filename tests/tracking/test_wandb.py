"""W&B sees the whole run and can do nothing to it: with a stand-in for it that fails in every way.

`tests/test_wandb_itself.py` is about the real one.
"""

import pytest
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from wandb_double import CONFIG, SUMMARY

from ganduel.tracking.secrets import HIDDEN


def rows_of(tracker):
    """All rows that the stand-in has got."""
    tracker.worker.submit(lambda: None).result(5)
    return tracker.run.rows


def test_a_run_of_ours_is_one_of_its_own(tracker, library, tmp_path, lines):
    tracker(project="p", entity="us", tags=["mine"])
    (made,) = library.runs
    told = {key: made.arguments[key] for key in ("id", "name", "dir", "project", "entity", "mode", "resume", "reinit")}
    assert told == {
        "id": "0a1b2c3d",
        "name": tmp_path.name,
        "dir": str(tmp_path),
        "project": "p",
        "entity": "us",
        "mode": "online",
        "resume": "allow",
        "reinit": "create_new",
    }
    assert made.arguments["group"] == "nonsaturating-r1-mlp-mnist-k2"
    assert made.arguments["job_type"] == "nonsaturating"
    assert made.arguments["tags"] == ["nonsaturating", "r1", "mlp", "mnist", "k2", "seed3", "mine"]
    assert made.arguments["config"] == {**CONFIG, "data": {"token": HIDDEN}}
    assert made.metrics == [("*", "images_seen")]
    assert lines() == ["W&B: online (there is an API key): https://wandb.example/run"]


def test_a_group_of_the_users_own_stands(tracker, library):
    tracker(group="mine")
    assert library.runs[0].arguments["group"] == "mine"


def test_every_row_has_iteration_and_images(tracker, tmp_path):
    """Pictures and rows of other loggers' callbacks, which do not know of images, included."""
    followed = tracker()
    followed.log_metrics({"iteration": 1, "images_seen": 16, "loss/d": 1.0}, step=1)
    followed.log_metrics({"iteration": 2, "images_seen": 32})
    followed.log_metrics({"lr": 0.1}, step=3)
    followed.log_picture("samples/fake", tmp_path / "a.png", "a caption", step=4)
    assert rows_of(followed) == [
        (1, {"iteration": 1, "images_seen": 16, "loss/d": 1.0}),
        (2, {"iteration": 2, "images_seen": 32}),
        (3, {"iteration": 3, "images_seen": 48, "lr": 0.1}),
        (
            4,
            {
                "iteration": 4,
                "images_seen": 64,
                "samples/fake": ((str(tmp_path / "a.png"),), {"caption": "a caption"}),
            },
        ),
    ]


def test_histograms_have_their_edges(tracker):
    followed = tracker()
    followed.log_histograms({"d/real": [1, 2, 3, 4], "logit/fake": [5, 6]}, step=1)
    ((_, row),) = rows_of(followed)
    counts, edges = row["hist/d_real"][1]["np_histogram"]
    assert counts.tolist() == [1, 2, 3, 4]
    assert edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert row["hist/logit_fake"][1]["np_histogram"][1].tolist() == [-16, 0, 16]


@pytest.mark.parametrize(("status", "code"), [("finished", 0), ("stopped", 0), ("failed", 1), ("diverged", 1)])
def test_the_end_is_told(tracker, status, code):
    followed = tracker()
    followed.log_metrics({"iteration": 6, "loss/d": 1.5}, step=6)
    followed.finish({**SUMMARY, "status": status})
    assert followed.run.code == code
    told = {"status": status, "reason": None, "iteration": 7, "images_seen": 112, "loss/d": 1.5}
    assert followed.run.summary == told


def test_a_finished_tracker_is_done(tracker, library, lines):
    followed = tracker()
    followed.finish(SUMMARY)
    followed.log_metrics({"iteration": 8}, step=8)
    followed.finish(SUMMARY)
    assert len(followed.run.rows) == 1  # the empty one that has W&B write its last row
    assert len(lines()) == 1
    assert library.teardowns == 0


def test_the_next_run_of_the_process_has_its_own(tracker, library, tmp_path):
    tracker().finish(SUMMARY)
    tracker({**CONFIG, "run": {**CONFIG["run"], "id": "ffffffff"}})
    assert [made.arguments["id"] for made in library.runs] == ["0a1b2c3d", "ffffffff"]


def test_only_the_first_rank_tells(tracker, library, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    followed = tracker()
    followed.log_metrics({"iteration": 1}, step=1)
    followed.finish(SUMMARY)
    assert library.runs == []


def test_without_a_key_it_is_offline(tracker, library, lines, tmp_path):
    library.key = False
    tracker()
    (made,) = library.runs
    assert made.arguments["mode"] == "offline"
    folder = tmp_path / "wandb" / "offline-run-1-0a1b2c3d"
    why = "no API key; wandb login takes one"
    assert lines() == [f"W&B: offline ({why}). To upload it later: wandb sync {folder}"]


def test_a_resumed_run_names_all_its_folders(tracker, library, lines, tmp_path):
    library.key = False
    (tmp_path / "wandb" / "offline-run-0-0a1b2c3d").mkdir(parents=True)
    tracker()
    first, second = (tmp_path / "wandb" / f"offline-run-{n}-0a1b2c3d" for n in (0, 1))
    assert lines()[0].endswith(f": wandb sync {first} {second}")


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_set_mode_decides(tracker, library, lines, monkeypatch, mode):
    """A key or none."""
    monkeypatch.setenv("WANDB_MODE", mode)
    library.mode = mode
    followed = tracker()
    followed.log_metrics({"iteration": 1}, step=1)
    followed.finish(SUMMARY)
    assert [made.arguments["mode"] for made in library.runs] == [mode] * (mode == "offline")
    assert len(lines()) == 1
    assert f"(WANDB_MODE says {mode})" in lines()[0]
