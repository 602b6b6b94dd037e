"""The package is optional: with all but `eager` of it deleted, everything else works."""

import os
import shutil
import subprocess
import sys
from operator import call
from pathlib import Path

import pytest

from ganduel.engine.eager import build

ROOT = Path(__file__).parents[2]
TRAINING = """
import ganduel.build, ganduel.engine
from pathlib import Path
from lightning.pytorch import Trainer
from conftest import composed

package = Path(ganduel.engine.__file__).parent
assert sorted(path.name for path in package.glob("*.py")) == ["__init__.py", "eager.py"]
words = ("data=ring8", "model.generator.hidden=[8]", "model.discriminator.hidden=[8]", "trainer.accelerator=cpu")
config = composed(words)
gan = ganduel.build.build_gan(config, ganduel.build.build(config["data"]))
trainer = Trainer(accelerator="cpu", max_steps=3, max_epochs=-1, logger=False, enable_checkpointing=False)
trainer.fit(gan)
assert trainer.global_step == 3
"""


@pytest.fixture
def reduced(tmp_path: Path) -> Path:
    """A copy of the source without the other engines."""
    shutil.copytree(ROOT / "src" / "ganduel", tmp_path / "ganduel", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tmp_path / "ganduel" / "engine").glob("*.py"):
        if path.name not in ("__init__.py", "eager.py"):
            path.unlink()
    return tmp_path


def python(source: Path, *arguments: str) -> subprocess.CompletedProcess:
    paths = os.pathsep.join([str(source), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_it_is_a_call_and_no_frame():
    assert build({}) is call


@pytest.mark.slow
def test_a_gan_trains_without_the_other_engines(reduced: Path):
    ended = python(reduced, "-c", TRAINING)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
def test_the_core_tests_pass_without_the_other_engines(reduced: Path):
    files = [name for name in ("tests/test_gan.py", "tests/test_batch.py") if (ROOT / name).exists()]
    ended = python(reduced, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *files, "tests/run/test_run.py")
    assert ended.returncode == 0, ended.stdout
