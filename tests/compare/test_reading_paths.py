"""Which runs are named by folders, patterns and links."""

import os
from pathlib import Path
from typing import Any

import pytest
from golden import make_run, make_sweep

from ganduel.compare.reading import UNFINISHED, SkippedFolder, expand_paths, read_all
from ganduel.errors import UserError

# ---- many runs


def names(paths: Any) -> list[str]:
    return sorted(path.name for path in paths)


def test_a_run_a_sweep_and_a_pattern_name_the_same_runs(tmp_path, monkeypatch):
    sweep = make_sweep(tmp_path / "runs" / "sweep", 2)
    everyone = names(sweep.iterdir())
    assert len(everyone) == 4
    assert names(expand_paths([sweep])) == everyone
    assert names(expand_paths([str(tmp_path)])) == everyone
    assert names(expand_paths([f"{sweep}/*"])) == everyone
    assert names(expand_paths([f"{tmp_path}/*/*/*seed=1*"])) == [name for name in everyone if "seed=1" in name]
    assert names(expand_paths(sorted(sweep.iterdir()))) == everyone
    monkeypatch.chdir(sweep / everyone[0])
    assert expand_paths(["."]) == [Path(".")]


def test_a_name_with_the_signs_of_a_pattern_is_a_name(tmp_path):
    make_run(tmp_path / "hidden=[8,8]")
    assert names(expand_paths([tmp_path / "hidden=[8,8]"])) == ["hidden=[8,8]"]


def test_nested_folders_and_what_is_no_run_in_them(tmp_path):
    """Runs are found at any depth; W&B's files and hidden folders are passed over, others are named."""
    make_run(tmp_path / "day" / "hour" / "0")
    make_run(tmp_path / "day" / "other")
    make_run(tmp_path / "day" / ".submitit" / "x")
    (tmp_path / "day" / "hour" / "0" / "wandb" / "run").mkdir(parents=True)
    (tmp_path / "day" / "wandb" / "run").mkdir(parents=True)
    (tmp_path / "day" / "notes" / "deep").mkdir(parents=True)
    (tmp_path / "day" / "multirun.yaml").write_text("a: 1")
    runs, aside = read_all([tmp_path])
    assert names(run.folder for run in runs) == ["0", "other"]
    assert [(entry.folder.name, entry.reason) for entry in aside] == [("deep", "empty")]


def test_a_run_inside_a_run_is_not_looked_for(tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "a" / "b")
    assert expand_paths([tmp_path]) == [tmp_path / "a"]


def test_each_run_is_taken_once(tmp_path, monkeypatch):
    sweep = make_sweep(tmp_path / "sweep", 1)
    (tmp_path / "link").symlink_to(sweep)
    (sweep / "again").symlink_to(sweep / "loss=saturating,seed=0")
    monkeypatch.chdir(tmp_path)
    words = ["sweep", str(sweep), "link", "sweep/../sweep", f"{sweep}/*", "sweep/loss=saturating,seed=0"]
    runs, aside = read_all(words)
    assert (len(runs), aside) == (2, [])


def test_links_that_lead_in_circles_end(tmp_path):
    """Two of them make 2^40 ways to the depth at which the system gives up."""
    sweep = make_sweep(tmp_path / "sweep", 1)
    for name in ("here", "there"):
        (sweep / name).symlink_to(sweep)
    (sweep / "self").symlink_to(sweep / "self")
    (sweep / "broken").symlink_to(sweep / "gone")
    runs, aside = read_all([sweep])
    assert (len(runs), aside) == (2, [])


def test_links_to_nothing_are_set_aside(tmp_path):
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    runs, aside = read_all([tmp_path / "self", tmp_path / "broken"])
    assert runs == []
    assert [entry.reason for entry in aside] == ["not a folder"] * 2


@pytest.mark.parametrize("word", ["gone", "no*ne", "x" * 300, "a/" * 3000])
def test_a_word_that_names_nothing(tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="is neither a folder nor a pattern that matches one"):
        read_all([word])


def test_a_folder_of_nothing_names_itself(tmp_path):
    assert read_all([tmp_path]) == ([], [SkippedFolder(tmp_path, "empty")])


def test_a_sweep_with_every_defect(tmp_path):
    """What can be used is; all else is named, and nothing is in both lists."""
    sweep = make_sweep(tmp_path / "sweep", 2)
    make_run(sweep / "going", seed=2, status=None)
    make_run(sweep / "failed", seed=3, status="failed", reason="no room")
    make_run(sweep / "diverged", seed=4, status="diverged", reason="D's loss became nan")
    (sweep / "empty").mkdir()
    (sweep / "foreign").mkdir()
    (sweep / "foreign" / "config.yaml").write_text("name: other")
    make_run(sweep / "torn", seed=5)
    (sweep / "torn" / "config.yaml").write_text("a: [")
    make_run(sweep / "begun", seed=6, rows=0, metrics={}, status=None)
    runs, aside = read_all([sweep])
    assert {run.name: run.status for run in runs} == {
        **{f"loss={loss},seed={seed}": "finished" for loss in ("saturating", "nonsaturating") for seed in (0, 1)},
        "going": UNFINISHED, "failed": "failed", "diverged": "diverged",
    }  # fmt: skip
    assert names(entry.folder for entry in aside) == ["begun", "empty", "foreign", "torn"]
    assert len(runs) + len(aside) == len(os.listdir(sweep))
