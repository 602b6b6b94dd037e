"""Where numbers come from, in plain values."""

import json
import subprocess
import sys
import sysconfig
from datetime import datetime
from pathlib import Path

import pytest
import torch

from ganduel.tracking import provenance
from ganduel.tracking.provenance import PACKAGES, git, installed, processor, revision


def test_is_plain_and_complete():
    """A JSON file or a checkpoint can hold it."""
    found = provenance.provenance()
    assert json.loads(json.dumps(found)) == found
    assert datetime.fromisoformat(found["created"]).tzinfo is not None
    assert found["versions"].keys() == {"python", *PACKAGES}
    assert found["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert None not in found["versions"].values()
    assert found["machine"]["threads"] == torch.get_num_threads()


def test_a_package_that_is_not_there():
    assert installed("no-such-package-of-ours") is None


def test_the_processor_has_a_name():
    assert processor().strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one commit of one file, from which the program is run."""
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "train.py")])
    (tmp_path / "train.py").write_text("1\n")
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "train.py"], [*identity, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_revision_marks_changes_to_files_that_are_tracked(checkout):
    clean = revision()
    assert len(clean) == 40
    (checkout / "untracked").touch()
    assert revision() == clean
    (checkout / "train.py").write_text("2\n")
    assert revision() == clean + "+"


def test_no_revision_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "train.py")])
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert revision() is None


def test_an_installed_command_has_the_revision_of_the_package(monkeypatch):
    """`ganduel train` is beside python, perhaps in an environment within another checkout."""
    monkeypatch.setattr(sys, "argv", [str(Path(sysconfig.get_path("scripts")) / "ganduel")])
    package = git("rev-parse", "HEAD", folder=Path(provenance.__file__).parent)
    assert (revision() or "").removesuffix("+") == (package or "")


def test_no_revision_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git("rev-parse", "HEAD", folder=tmp_path) is None
