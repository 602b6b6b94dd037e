"""Names of run folders: unused, short enough, one level deep, and a temporary one on ranks other than the first."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ganduel.environment import RANKS
from ganduel.errors import UserError
from ganduel.run.folder import Folder, checked_run, has_begun, number_of_jobs, one_folder, run_dir, tidy, unused_name


def test_a_name_in_use_gets_the_next_unused_number(tmp_path: Path):
    fresh = str(tmp_path / "run")
    assert unused_name(fresh) == fresh
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").mkdir()
    assert unused_name(fresh) == f"{fresh}-3"


def test_the_folder_to_resume_must_hold_a_run(tmp_path: Path):
    with pytest.raises(UserError, match="is not a folder"):
        checked_run(str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"has no config\.yaml"):
        checked_run(str(tmp_path))
    (tmp_path / "config.yaml").touch()
    assert checked_run(str(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize("overrides", ["", "data.dir=/a/b,seed=1", "x=" + "ä" * 300])
def test_a_sweeps_folder_is_one_level_deep_and_fits_a_file_system(overrides: str):
    name = one_folder(overrides)
    assert 0 < len(name.encode()) <= 255
    assert "/" not in name


def test_long_names_that_differ_at_their_end_stay_apart():
    assert one_folder("x" * 300 + "1") != one_folder("x" * 300 + "2")


@pytest.mark.parametrize(("params", "words", "jobs"), [
    (None, ["k=1"], 1),
    (None, ["k=1,2", "seed=range(0,5)", "loss=saturating"], 10),
    ({"loss": "saturating,nonsaturating", "seed": "0,1,2"}, [], 6),
    ({"loss": "saturating,nonsaturating", "seed": "0,1,2"}, ["seed=0"], 2),
])  # fmt: skip
def test_the_runs_that_a_sweep_asks_for_are_counted(params, words: list[str], jobs: int):
    sweeper = {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper", "params": params}
    assert number_of_jobs(OmegaConf.create({"sweeper": sweeper, "overrides": {"task": words}})) == jobs


def test_a_search_does_not_know_its_runs_beforehand():
    sweeper = {"_target_": "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"}
    assert number_of_jobs(OmegaConf.create({"sweeper": sweeper, "overrides": {"task": ["k=1,2"]}})) == 0


def test_other_ranks_have_a_temporary_folder(monkeypatch, tmp_path: Path):
    """Only the first gets the run's folder."""
    for name in RANKS:
        monkeypatch.delenv(name, raising=False)
    fresh = str(tmp_path / "run")
    assert run_dir(None, fresh) == fresh
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not run_dir(None, fresh).startswith(fresh)


def test_only_a_new_folder_of_a_run_that_has_not_begun_is_removed(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(Folder, "path", None)
    monkeypatch.setattr(Folder, "created", ())
    new, old = tmp_path / "new", tmp_path / "old"
    old.mkdir()
    for folder, begun, stays in ((new, False, False), (new, True, True), (old, False, True)):
        Folder.remember("hydra.run.dir", folder)
        folder.mkdir(exist_ok=True)
        if begun:
            (folder / "metrics.jsonl").touch()
        assert has_begun(folder) == begun
        tidy()
        assert folder.exists() == stays
