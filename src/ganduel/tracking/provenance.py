"""Provenance of a run: its time, the revision of the code, the libraries and the machine."""

import platform
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("ganduel", "torch", "lightning", "hydra-core", "omegaconf", "wandb", "torchmetrics", "numpy")


def provenance() -> dict[str, Any]:
    """Plain values, for the config."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": revision(),
        "versions": {"python": platform.python_version(), **{name: installed(name) for name in PACKAGES}},
        "machine": {
            "platform": platform.platform(),
            "cpu": processor(),
            "threads": torch.get_num_threads(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
    }


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def revision() -> str | None:
    """The commit of the program's checkout, with "+" where files differ from it; None outside one."""
    script = Path(sys.argv[0])  # or an installed command, whose code is here
    folder = (Path(__file__) if script.parent == Path(sysconfig.get_path("scripts")) else script.resolve()).parent
    commit = git("rev-parse", "HEAD", folder=folder)
    if not commit:
        return None
    return commit + ("+" if git("status", "--porcelain", "--untracked-files=no", folder=folder) else "")


def git(*arguments: str, folder: Path) -> str | None:
    try:
        ended = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout.strip()


def processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
