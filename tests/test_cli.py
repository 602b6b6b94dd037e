"""The command line of `ganduel`: a run of the real program is sampled, and each mistake gets its one line."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from golden import make_sweep
from PIL import Image
from toy_runs import train

from ganduel import cli


class Ended(NamedTuple):
    """How the command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def run(compose: Callable[..., dict], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of three iterations."""
    folder = tmp_path_factory.mktemp("sampled") / "run"
    words = ("trainer.max_steps=3", "model.generator.hidden=[16]", "model.discriminator.hidden=[16]", "tracking=none")
    train(folder, compose(*words, "trainer.accelerator=cpu", "callback=[]"))
    return folder


@pytest.fixture
def ganduel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path) -> Callable[..., Ended]:
    """A function that runs `ganduel …` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def call(*words: object) -> Ended:
        try:
            cli.main([str(word) for word in words])
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Ended(code, *capsys.readouterr())

    return call


def edited(run: Path, path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A copy of the run's checkpoint with a change."""
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)
    return path


def size(name: str) -> tuple[int, int]:
    with Image.open(name) as picture:
        return picture.size


def array(name: str) -> np.ndarray:
    with np.load(name) as archive:
        return archive["samples"]


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["sample", "--help"], ["smaple"]])
def test_help_and_typos_wait_for_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys\nfrom ganduel.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: assert not {'torch', 'hydra', 'numpy', 'rich'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60)
    assert "heavy" not in done.stderr
    assert done.returncode == (2 if words == ["smaple"] else 0)


@pytest.mark.parametrize("words", [["--json"], ["-o", "duel.html"], ["--factor", "los"]])
def test_a_comparison_runs_without_torch(tmp_path: Path, words: list[str]) -> None:
    """Nor with any other of the packages that take their time, whether it answers or finds a mistake."""
    make_sweep(tmp_path / "runs", 2)
    program = (
        "import sys\nfrom ganduel.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print({'torch', 'lightning', 'wandb', 'matplotlib'} & set(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-W", "error", "-c", program, "compare", "runs", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    if words[0] == "--factor":
        line = "--factor los is not in the runs' configs. Did you mean loss?"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {line}\nset()\n")
        return
    assert (done.returncode, done.stderr) == (0, "set()\n")
    if words[0] == "--json":
        assert json.loads(done.stdout)["levels"] == ["nonsaturating", "saturating"]
    else:
        assert done.stdout.splitlines()[-1].startswith("duel.html: 4 runs, ")


def test_version_and_help(ganduel: Callable[..., Ended]) -> None:
    assert ganduel("--version").out.startswith("ganduel 0.")
    assert "Draw samples" in ganduel("--help").out
    assert all(option in ganduel("sample", "--help").out for option in ("--n", "--seed", "--live", "--interpolate"))
    options = ("--out", "--factor", "--metric", "--json", "--watch", "--wandb")
    assert all(option in ganduel("compare", "--help").out for option in options)
    assert "loss-forms" in ganduel("figure", "--help").out


def test_a_run_becomes_a_grid(ganduel: Callable[..., Ended], run: Path) -> None:
    ended = ganduel("sample", run, "--n", 64, "--out", "grid.png", "--device", "cpu")
    assert ended == (0, "grid.png: 64 images from the average of G at iteration 3, seed 0\n", "")
    assert size("grid.png") == (8 * 30 - 2, 8 * 30 - 2)


def test_a_checkpoint_becomes_an_array(ganduel: Callable[..., Ended], run: Path) -> None:
    """The initial weights: the average has not moved from G yet."""
    first = run / "checkpoints" / "iteration_00000000.ckpt"
    ended = ganduel("sample", first, "--n", 3, "--out", "x.NPZ", "--seed", 7, "--live")
    assert ended == (0, "x.NPZ: 3 images from G itself at iteration 0, seed 7\n", "")
    ganduel("sample", first, "--n", 3, "--out", "y.npz", "--seed", 7)
    ganduel("sample", run, "--n", 3, "--out", "z.npz", "--seed", 7)
    x, y, z = (array(name) for name in ("x.NPZ", "y.npz", "z.npz"))
    assert (x.shape, x.dtype) == ((3, 1, 28, 28), np.uint8)
    assert (x == y).all()
    assert (x != z).any()


def test_walks(ganduel: Callable[..., Ended], run: Path) -> None:
    ended = ganduel("sample", run, "--interpolate", "--out", "w.gif")
    assert ended.out == "w.gif: 9 walks from the average of G at iteration 3, seed 0\n"
    ganduel("sample", run, "--interpolate", "--n", 1, "--out", "w.png")
    assert size("w.png") == (10 * 30 - 2, 28)


def test_a_generator_of_the_users_own_is_found_from_here(
    ganduel: Callable[..., Ended], run: Path, tmp_path: Path
) -> None:
    source = "from ganduel.model.mlp import MLPGenerator\nclass Mine(MLPGenerator): pass\n"
    (tmp_path / "my_own_networks.py").write_text(source)
    path = edited(run, tmp_path / "a.ckpt", lambda c: node(c).update(_target_="my_own_networks.Mine"))
    assert "If it is yours, or you trust it, add --trust." in ganduel("sample", path, "--out", "x.npz").err
    assert ganduel("sample", path, "--n", 2, "--out", "x.npz", "--trust").code == 0


def node(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The generator's part of the config."""
    return checkpoint["ganduel"]["config"]["model"]["generator"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["smaple"], "smaple is not a command. Did you mean sample?"),
        (
            ["xyzzy"],
            "xyzzy is not a command. There are: "
            "benchmark, compare, doctor, evaluate, export, figure, sample, train.",
        ),
        ([], "the following arguments are required: COMMAND. See ganduel --help."),
        (["sample"], "the following arguments are required: PATH, --out. See ganduel sample --help."),
        (["sample", "r", "--n", "x"], "argument --n: invalid int value: 'x'. See ganduel sample --help."),
        (["sample", "r", "--out", "x.png", "--nn"], "unrecognized arguments: --nn. See ganduel --help."),
        (["compare"], "the following arguments are required: RUNS. See ganduel compare --help."),
        (["compare", "r", "--watch", "x"], "argument --watch: invalid int value: 'x'. See ganduel compare --help."),
        (["figure", "loss-forms"], "the following arguments are required: -o/--out. See ganduel figure --help."),
    ],
)  # fmt: skip
def test_what_argparse_refuses_ends_with_2(ganduel: Callable[..., Ended], words: list[str], line: str) -> None:
    assert ganduel(*words) == (2, "", f"error: {line}\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["{run}", "--n", "0"], "--n 0: there must be at least 1."),
        (["{run}", "--n", "-3"], "--n -3: there must be at least 1."),
        (["gone"], "gone does not exist. Give the folder of a run, or a checkpoint in it."),
        (["."], ". has no checkpoint (looked for checkpoints/last.ckpt). Give the folder of a run that has begun."),
        (["{run}", "--out", "x.jpg"],
         "--out x.jpg: the name must end in one of .png, .npz, .gif, which says what to write."),
        (["{run}", "--out", "x"], "--out x: the name must end in one of .png, .npz, .gif, which says what to write."),
        (["{run}", "--out", "x.gif"], "--out x.gif: a GIF shows walks. Add --interpolate, or write a .png."),
        (["{run}", "--out", "x.npz", "--interpolate"],
         "--out x.npz: --interpolate makes a picture. Write a .png or a .gif."),
        (["{run}", "--out", "no/x.png"], "--out no/x.png: there is no folder no. Make it first."),
        (["{run}", "--out", "folder.png"], "--out folder.png is a folder. Give the name of a file."),
        (["{run}", "--out", f"{'x' * 300}.png"], f"--out {'x' * 300}.png cannot be written: File name too long."),
        (["{run}", "--n", "1000000"],
         "--n 1000000: a picture of 30,000 × 30,000 pixels is more than can be looked at. Use x.npz for so many."),
        (["y" * 300], f"{'y' * 300} does not exist. Give the folder of a run, or a checkpoint in it."),
        (["text.ckpt"], "text.ckpt is not a readable checkpoint: "),
        (["half.ckpt"], "half.ckpt is not a readable checkpoint: "),
        (["empty.ckpt"], "empty.ckpt is not a readable checkpoint: "),
        (["other.ckpt"], "other.ckpt is a file of torch, but no checkpoint of ganduel."),
        (["newer.ckpt"], "newer.ckpt has format 3, and this version of ganduel reads up to 2. Upgrade ganduel."),
        (["bare.ckpt"], "bare.ckpt is no whole checkpoint: 'state_dict' is missing or not what it should be."),
        (["points.ckpt"], "--out x.png: samples of shape (2,) are no pictures. Use x.npz."),
        (["foreign.ckpt", "--trust"],
         "foreign.ckpt has a generator nowhere.G: there is no module nowhere here. Start from its folder."),
        (["renamed.ckpt"], "renamed.ckpt names ganduel.model.mlp.Gone (model.generator), no such part of ganduel: "),
        (["renamed.ckpt", "--trust"], "model.generator._target_=ganduel.model.mlp.Gone cannot be imported: "),
        (["wider.ckpt"], "wider.ckpt: its weights are not those of ganduel.model.mlp.MLPGenerator (size mismatch "),
    ],
)  # fmt: skip
def test_every_mistake_gets_one_line(
    ganduel: Callable[..., Ended], run: Path, tmp_path: Path, words: list[str], line: str
) -> None:
    bytes_ = (run / "checkpoints" / "last.ckpt").read_bytes()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "text.ckpt").write_text("a text\n")
    (tmp_path / "half.ckpt").write_bytes(bytes_[: len(bytes_) // 2])
    (tmp_path / "empty.ckpt").write_bytes(b"")
    torch.save({"a": 1}, tmp_path / "other.ckpt")
    edited(run, tmp_path / "newer.ckpt", lambda c: c["ganduel"].update(format=3))
    edited(run, tmp_path / "bare.ckpt", lambda c: c.pop("state_dict"))
    edited(run, tmp_path / "foreign.ckpt", lambda c: node(c).update(_target_="nowhere.G"))
    edited(run, tmp_path / "renamed.ckpt", lambda c: node(c).update(_target_="ganduel.model.mlp.Gone"))
    edited(run, tmp_path / "wider.ckpt", lambda c: node(c).update(hidden=[17]))
    if words[0] == "points.ckpt":
        edited(run, tmp_path / "points.ckpt", to_points)
    before = sorted(tmp_path.iterdir())
    words = [str(run) if word == "{run}" else word for word in words]
    ended = ganduel("sample", *words, *([] if "--out" in words else ["--out", "x.png"]))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert logging.getLogger("hydra").handlers  # or else Python prints what Hydra logs, beside the one line
    assert ended.err.startswith(f"error: {line}")
    assert ended.err.endswith("\n" if line.endswith("(") or line.endswith(" ") else f"{line}\n")
    assert sorted(tmp_path.iterdir()) == before


def to_points(checkpoint: dict[str, Any]) -> None:
    """The checkpoint of a generator of points in the plane."""
    checkpoint["ganduel"]["shape"] = [2]
    for prefix in ("generator", "ema.net"):
        for name in ("weight", "bias"):
            key = f"{prefix}.net.2.{name}"
            checkpoint["state_dict"][key] = checkpoint["state_dict"][key][:2].clone()


def test_points_go_into_an_npz(ganduel: Callable[..., Ended], run: Path, tmp_path: Path) -> None:
    path = edited(run, tmp_path / "points.ckpt", to_points)
    assert ganduel("sample", path, "--n", 5, "--out", "x.npz").out.startswith("x.npz: 5 samples from")
    points = array("x.npz")
    assert (points.shape, points.dtype) == ((5, 2), np.float32)


def test_a_gpu_that_is_not_there(ganduel: Callable[..., Ended], run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ended = ganduel("sample", run, "--out", "x.png", "--device", "cuda")
    assert ended == (1, "", "error: device cuda: torch finds no CUDA device here. Use cpu.\n")
    assert ganduel("sample", run, "--out", "x.png", "--device", "auto").code == 0


def test_a_folder_that_cannot_be_written(
    ganduel: Callable[..., Ended], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    ended = ganduel("sample", run, "--out", "x.png")
    assert ended == (1, "", "error: --out x.png: the folder . is not writable. Choose another.\n")


def test_a_fault_of_the_program_shows_its_trace(
    ganduel: Callable[..., Ended], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganduel.command import sample

    monkeypatch.setattr(sample, "load", Mock(side_effect=ZeroDivisionError))
    ended = ganduel("sample", run, "--out", "x.png")
    assert ended.code == 1
    assert "ZeroDivisionError" in ended.err
    assert ended.err.endswith("error: this is a fault of the program; please report it with the lines above.\n")


def test_an_interrupt_is_one_line(ganduel: Callable[..., Ended], run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganduel.command import sample

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "load", interrupted)
    assert ganduel("sample", run, "--out", "x.png") == (130, "", "error: interrupted.\n")
