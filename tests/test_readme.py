"""The commands of the README and of docs/running.md run, and the listing there is what a run leaves."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from small import EVALUATION, NETWORKS, SMALL

from ganduel.cli import parse
from ganduel.run.lock import LOCK

ROOT = Path(__file__).parents[1]
README, RUNNING = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/running.md"))


def commands(beginning: str) -> list[str]:
    """The lines of both pages' code blocks that run this program, without their comments."""
    blocks = "\n".join(re.findall(r"```\n(.*?)```", README + RUNNING, re.DOTALL))
    return [line.split("  #")[0].strip() for line in blocks.splitlines() if beginning in line]


WORDS = (*SMALL, *EVALUATION, "trainer.max_steps=2", "tracking=none")
NARROW = ("model.generator.width=2", "model.discriminator.width=2")  # of convolutions


def test_two_commands_do_all_the_set_up():
    """The second is the one that .ci/run takes from here."""
    lines = README.splitlines()
    assert "pip install -e . && python train.py loss=nonsaturating" in lines
    assert 'pip install -e ".[dev]" && pytest' in lines
    assert 'pip install -e "\\.\\[dev\\]" && pytest' in (ROOT / ".ci" / "run").read_text()


def marked(line: str) -> object:
    """A sweep or a population is several runs."""
    many = " -m " in line or "population" in line
    return pytest.param(line, marks=pytest.mark.slow) if many else line


@pytest.mark.parametrize("line", [marked(c) for c in commands("train.py") if "resume=" not in c])
def test_a_command_runs(command: Callable, compose: Callable[..., dict], line: str):
    """Small and short here; those that need GPUs or several processes compose at least."""
    words = shlex.split(line.partition("train.py")[2])
    if "devices=" in line or "accelerator=gpu" in line:
        config = compose(*words)
        assert config["trainer"]["devices"] in (2, 8) or config["engine"] == "cuda_graph"
        return
    few = ("population.seeds=2",) if "population" in line else ()
    small = [*(word for word in WORDS if word not in NETWORKS), *NARROW] if "dcgan" in line else WORDS
    assert command(*words, *(() if "--help" in words else (*small, *few))).code == 0


@pytest.mark.parametrize("line", [c for c in commands("ganduel ") if "train" not in c])
def test_a_command_on_runs_parses(line: str):
    assert callable(parse(shlex.split(line)[1:]).run)


def test_the_listing_is_what_a_run_leaves(command: Callable, tmp_path: Path):
    """Every file of a short run is listed, and nothing is listed that a run does not leave."""
    assert command(*WORDS, "hydra.run.dir=run").code == 0
    files = [path.name for path in (tmp_path / "run").rglob("*") if path.is_file()]
    left = {re.sub(r"\d{8}", "N", name) for name in files if name != LOCK}
    listing = RUNNING.split("## What a run leaves")[1].split("```")[1]
    listed = {re.sub(r"\d{8}", "N", name) for name in re.findall(r"[\w.]+\.\w{3,5}\b", listing)}
    assert left <= listed
    assert listed - left <= {"train.log"}
