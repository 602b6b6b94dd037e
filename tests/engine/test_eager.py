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
TESTS = """
import sys
from pathlib import Path
import pytest

code = pytest.main(sys.argv[1:])
import ganduel.engine
package = Path(ganduel.engine.__file__).parent
assert sorted(path.name for path in package.glob("*.py")) == ["__init__.py", "eager.py"]
sys.exit(code)
"""


@pytest.fixture
def reduced(tmp_path: Path) -> Path:
    """A copy of the source without the other engines."""
    shutil.copytree(ROOT / "src" / "ganduel", tmp_path / "ganduel", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tmp_path / "ganduel" / "engine").glob("*.py"):
        if path.name not in ("__init__.py", "eager.py"):
            path.unlink()
    return tmp_path


def test_it_is_a_call_and_no_frame():
    assert build({}) is call


@pytest.mark.slow
def test_the_core_tests_pass_without_the_other_engines(reduced: Path):
    files = ("tests/test_gan.py", "tests/test_batch.py", "tests/run/test_run.py")
    command = [sys.executable, "-c", TESTS, "-q", "-n0", "-p", "no:cacheprovider", "--jaxtyping-packages=", *files]
    environment = {**os.environ, "PYTHONPATH": str(reduced)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout
