"""`ganduel train`: the same as `python train.py`, by another name in what it prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganduel.cli import main
from ganduel.errors import program
from ganduel.run.main import CONF, job

ROOT = Path(__file__).parents[2]


def test_a_worker_process_of_a_sweep_finds_the_function_by_its_name():
    """Pickled by reference, its module is imported there, and registers what configs need."""
    assert (job.__module__, job.__qualname__) == ("ganduel.run.main", "job")
    code = "import ganduel.run.main; from omegaconf import OmegaConf; print(OmegaConf.has_resolver('run_dir'))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"


def test_the_configs_are_those_at_the_top_of_the_checkout():
    """A link in the package, so that it has them wherever it is: here, in a wheel, in an editable installation."""
    assert CONF == ROOT / "conf"


@pytest.mark.parametrize(("script", "name"), [("/a/train.py", "python train.py"), ("/a/bin/ganduel", "ganduel train")])
def test_what_to_type_next_begins_as_what_was_typed(monkeypatch: pytest.MonkeyPatch, script: str, name: str):
    monkeypatch.setattr(sys, "argv", [script])
    assert program() == name


def test_the_words_after_train_are_hydras(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
):
    """Flags too; and a config folder of the user's is found from the folder in which one is."""
    (tmp_path / "mine" / "loss").mkdir(parents=True)
    (tmp_path / "mine" / "loss" / "my_loss.yaml").write_text("_target_: mine.Loss\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/bin/ganduel"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    main(["train", "loss=my_loss", "--config-dir", "mine", "--cfg", "job", "-p", "loss"])
    assert "_target_: mine.Loss" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["train", "los=hinge"])
    assert capsys.readouterr().err == "error: los is not an option. Did you mean loss?\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ganduel tr", "train sample export compare evaluate doctor benchmark figure"),
        ("ganduel ", "train sample export compare evaluate doctor benchmark figure"),
        ("ganduel train", "train sample export compare evaluate doctor benchmark figure"),
        ("ganduel train loss=sa", "loss=saturating"),
        ("ganduel train seed=1 loss=sa", "loss=saturating"),
        ("ganduel sample --out ru", ""),  # names of files, which bash completes itself
    ],
)
def test_completion_in_bash(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path, line: str, words: str
):
    """Bash calls `ganduel -sc query=bash` with the line so far, whose second word Hydra would take for an option."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setattr(sys, "argv", ["/bin/ganduel"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    main(["-sc", "query=bash"])
    assert capsys.readouterr().out.strip() == words
    monkeypatch.setenv("COMP_LINE", line)  # it was changed


def test_hydras_completion_knows_the_script():
    """Bash looks for this text in `train.py` before it asks it."""
    assert "@hydra.main" in (ROOT / "train.py").read_text(encoding="utf-8")


def test_python_m_is_the_command():
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "ganduel", "--help"]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "usage: ganduel " in printed
    assert "train     Train a GAN" in printed
