"""The package as it is installed from a wheel, away from its checkout: conf/ travels with it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from venv import EnvBuilder

import pytest
from small import SMALL

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "src", "conf")
RUN = ("data=ring8", "trainer.max_steps=2", "tracking=none", "callback=[]", "metric=[]", *SMALL)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ganduel` in an environment that has the wheel, and all other packages of the one that runs the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    source, environment = folder / "source", folder / "environment"
    for name in BUILT_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (source / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, source / name, **({"symlinks": True} if copy is shutil.copytree else {}))
    EnvBuilder(with_pip=False).create(environment)
    python = environment / "bin" / "python"
    site = next(environment.glob("lib/python*/site-packages"))
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", folder, source], check=True)
    wheel = next(folder.glob("ganduel-*.whl"))
    subprocess.run([*pip, "--python", python, "install", *offline, wheel], check=True)
    return environment / "bin" / "ganduel"


def outcome(folder: Path, *command: str | Path) -> tuple[int, str]:
    """Run it there, without the checkout on the path; returns the exit code and what it printed."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.slow
def test_an_installed_wheel_trains_and_samples_from_an_empty_folder(program: Path, tmp_path: Path):
    code, printed = outcome(tmp_path, program, "train", *RUN)
    assert code == 0, printed
    (run,) = (tmp_path / "runs").glob("*/*")
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert f"run {run.relative_to(tmp_path)}: finished" in printed.replace(f"{tmp_path}/", "")
    code, printed = outcome(tmp_path, program, "sample", run, "--out", "samples.npz")
    assert code == 0, printed
    assert str(ROOT) not in outcome(tmp_path, program.parent / "python", "-c", "import ganduel; print(ganduel)")[1]


@pytest.mark.slow
@pytest.mark.parametrize("more", [("population.seeds=2",), ("trainer.devices=2",)])
def test_worker_processes_of_an_installed_wheel(program: Path, tmp_path: Path, more: tuple[str, ...]):
    code, printed = outcome(tmp_path, program.parent / "python", "-m", "ganduel", "train", *RUN, *more)
    assert code == 0, printed


@pytest.mark.slow
def test_a_sweep_of_an_installed_wheel_finds_configs_of_the_users(program: Path, tmp_path: Path):
    (tmp_path / "mine" / "loss").mkdir(parents=True)
    (tmp_path / "mine" / "loss" / "mine.yaml").write_text("_target_: ganduel.loss.saturating.Saturating\n")
    code, printed = outcome(tmp_path, program, "train", "-m", "--config-dir", "mine", "loss=mine,hinge", *RUN)
    assert code == 0, printed
    assert "2 of 2 runs finished" in printed
    assert len(list((tmp_path / "multirun").glob("*/*/*/config.yaml"))) == 2
