"""How the program ends: exit codes, one line for what the user got wrong, and a report on a sweep."""

import json
import sys
import time
from pathlib import Path

import pytest
from hydra._internal.utils import get_args_parser
from PIL import Image
from small import SMALL

from ganduel.errors import Diverged, UserError
from ganduel.run import app
from ganduel.run.folder import Folder


@pytest.fixture(autouse=True)
def plain_command(monkeypatch):
    """As if train.py had been called without a word."""
    monkeypatch.setattr(sys, "argv", ["train.py"])


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of a sweep with a finished, a diverged and a killed run, and something that is no run."""
    monkeypatch.setattr(Folder, "option", "hydra.sweep.dir")
    monkeypatch.setattr(Folder, "path", tmp_path)
    for name, summary in {"a": {"status": "finished"}, "b": {"status": "diverged", "reason": "why"}, "c": None}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.log").touch()
        if summary is not None:
            (tmp_path / name / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "other").mkdir()
    return tmp_path


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder is in use."""
    monkeypatch.setattr(Folder, "option", "hydra.run.dir")
    monkeypatch.setattr(Folder, "path", None)


def raising(error: BaseException):
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(("asked_for", "line"), [
    (0, "1 of 3 runs finished"),  # a sweeper that decides as it goes
    (3, "1 of 3 runs finished"),
    (8, "1 of 8 runs finished, 5 not begun"),
])  # fmt: skip
def test_a_sweep_that_is_stopped_says_how_many_runs_are_left(sweep: Path, monkeypatch, capsys, asked_for, line):
    monkeypatch.setattr(Folder, "jobs", asked_for)
    assert app.report_sweep() == 2
    assert capsys.readouterr().err.splitlines()[0] == f"sweep {sweep}: {line}"


def test_runs_of_an_earlier_sweep_are_not_taken_for_this_ones(sweep: Path, monkeypatch, capsys):
    monkeypatch.setattr(Folder, "jobs", 2)
    monkeypatch.setattr(Folder, "started", time.time() + 60)
    app.report_sweep()
    assert "1 of 5 runs finished, 2 not begun" in capsys.readouterr().err


@pytest.mark.parametrize(("argument", "becomes"), [
    ("resume=k=2,seed=3", 'resume="k=2,seed=3"'),
    ("resume='k=2,seed=3'", "resume='k=2,seed=3'"),
    ("data.dir=a,b", 'data.dir="a,b"'),  # which is there
    ("data.dir=a,c", "data.dir=a,c"),  # a sweep over two
    ("hydra.run.dir=runs/k=2", 'hydra.run.dir="runs/k=2"'),
    ("hydra.run.dir=runs/k=${k}", "hydra.run.dir=runs/k=${k}"),
    ("loss=a,b", "loss=a,b"),
])  # fmt: skip
def test_a_path_on_the_command_line_needs_no_second_pair_of_quotes(tmp_path, monkeypatch, argument, becomes):
    """Sweeps name folders `k=2,seed=3`, and a shell's completion types them without quotes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b").mkdir()
    assert app.with_quoted_path(argument) == becomes


def test_a_sweep_names_the_runs_that_did_not_finish(sweep: Path, capsys):
    assert app.report_sweep() == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"sweep {sweep}: 1 of 3 runs finished"
    assert lines[1].split() == ["b:", "diverged:", "why"]
    assert lines[2].startswith("  c: no summary")


@pytest.mark.parametrize("content", [b"", b'{"status": "fini', b'{"status": "\xff"}', b"[1]", b"[" * 100_000])
def test_a_damaged_summary_is_none(sweep: Path, capsys, content: bytes):
    """A sweep, run again, ended in a JSON error instead of doing what was left."""
    (sweep / "a" / "summary.json").write_bytes(content)
    assert app.read_summary(sweep / "a") == {}
    assert app.report_sweep() == 3
    assert "  a: no summary" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code", "line"), [
    (UserError("k=0 must be at least 1."), 1, "error: k=0 must be at least 1."),
    (Diverged("D's loss became nan"), 1, "error: D's loss became nan"),
    (KeyboardInterrupt(), 130, "error: interrupted before training began."),
])  # fmt: skip
def test_what_the_user_caused_is_one_line(alone, capsys, error: BaseException, code: int, line: str):
    with pytest.raises(SystemExit) as ended:
        app.run(raising(error))
    assert ended.value.code == code
    assert capsys.readouterr().err.splitlines() == [line]


def test_a_run_stays_in_the_folder_of_the_command(command, tmp_path):
    """With hydra.job.chdir relative paths would be of the run's folder: data.dir was "not a folder"."""
    (tmp_path / "pictures").mkdir()
    for i in range(9):
        Image.new("L", (4, 4), 30 * i).save(tmp_path / "pictures" / f"{i}.png")
    words = ("data=images", "data.dir=pictures", "data.size=4", "callback=[]", "tracking=none", "trainer.max_steps=1")
    outcome = command("hydra.job.chdir=true", "hydra.run.dir=run", *words, *SMALL)
    assert outcome.code == 0, outcome.err
    assert "hydra.job.chdir is not followed" in outcome.out
    assert (tmp_path / "run" / "summary.json").exists()
    assert Path.cwd() == tmp_path


def test_a_fault_of_the_program_shows_its_trace(alone, capsys):
    with pytest.raises(SystemExit) as ended:
        app.run(raising(RuntimeError("odd")))
    printed = capsys.readouterr().err
    assert ended.value.code == 1
    assert "Traceback" in printed
    assert printed.splitlines()[-1].startswith("error: this is a fault of the program")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--loss=saturating"], "--loss is no flag. Options have no dashes: loss=saturating. See --help."),
        (["seed=1", "--foo"], "--foo is no flag. Options are written as name=value. See --help."),
        (["--multi", "--cfg", "job", "--config-dir=x", "-m", "seed=1"], None),
    ],
)
def test_words_with_dashes_that_are_no_flags(words, line):
    assert app.unknown_flag(words) == line


def test_an_unknown_flag_ends_in_one_line(command):
    outcome = command("--los=saturating")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "error: --los is no flag. Options have no dashes: los=saturating. See --help.\n"


def test_flags_are_hydras():
    """All its long ones: a new version may bring more."""
    names = {name for action in get_args_parser()._actions for name in action.option_strings if name.startswith("--")}
    assert {f"--{flag}" for flag in app.FLAGS} == names


def test_a_config_file_that_a_builtin_one_hides_is_refused(command, tmp_path):
    """`--config-dir my_conf loss=saturating` took the built-in loss, and the user's file was never read."""
    (tmp_path / "my_conf" / "loss").mkdir(parents=True)
    hidden = tmp_path / "my_conf" / "loss" / "saturating.yaml"
    hidden.write_text("_target_: mine.Saturating\n")
    outcome = command("--config-dir", "my_conf", "loss=saturating", "tracking=none", "hydra.run.dir=run")
    assert outcome.code == 1
    line = "is never read: ganduel has a loss/saturating.yaml of its own, which comes first. Rename it, to loss/my_sat"
    assert f"error: {hidden} {line}urating.yaml for instance.\n" == outcome.err
    assert not (tmp_path / "run").exists()


def test_config_files_that_differ_from_builtin_ones_in_nothing_or_in_their_names_are_taken(tmp_path):
    """A copy of the built-in folder is where many begin."""
    conf, mine = tmp_path / "conf", tmp_path / "mine"
    for folder, name in ((conf, "a.yaml"), (mine, "a.yaml"), (mine, "b.yaml")):
        (folder / "loss").mkdir(parents=True, exist_ok=True)
        (folder / "loss" / name).write_text("_target_: A")
    app.refuse_hidden([conf, mine])
    app.refuse_hidden([conf])
