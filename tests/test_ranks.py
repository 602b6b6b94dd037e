"""Many ranks compute what one rank computes: that they agree with each other would prove nothing.

In float64, where rounding stays far below what a wrong average would do: a GAN's dynamics amplify differences by orders
of magnitude in a few dozen iterations, in float32 up to 0.1.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from programs import TRAIN, Program, run_two
from small import EVALUATION, SMALL

from ganduel.ranks import mean_over_ranks
from ganduel.tracking.files import rows

WORDS = (
    *SMALL,
    *EVALUATION,
    "trainer.precision=64-true",
    "trainer.max_steps=30",
    "log_every=10",
    "tracking=none",
)


def train(command: Callable, folder: Path, *words: str) -> dict[str, torch.Tensor]:
    """Train on one rank, in this process; returns the last checkpoint's weights."""
    assert command(*WORDS, "trainer.devices=1", f"hydra.run.dir={folder}", *words).code == 0
    return last(folder)


def train_on_two_ranks(folder: Path, *words: str) -> dict[str, torch.Tensor]:
    """The same by two processes."""
    run_two(folder.parent, *WORDS, "trainer.devices=2", f"hydra.run.dir={folder}", *words)
    return last(folder)


def last(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def distance(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    assert first.keys() == second.keys()
    return max((first[key] - second[key]).abs().max().item() for key in first)


SETTINGS = {
    "clipped, scheduled, k=2": ("k=2", "clip.generator=0.3", "clip.discriminator=0.5", "schedule=linear"),
    "plain": (),
    "penalised": ("penalty=r1", "penalty.r1.gamma=1.0"),
    "saturating, sgd, spectral": ("loss=saturating", "optimizer=sgd", "model.discriminator.norm=spectral"),
}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=name, marks=() if "k=2" in words else pytest.mark.slow)
        for name, words in SETTINGS.items()
    ],
)
@pytest.mark.usefixtures("untyped")
def test_two_ranks_equal_one(command: Callable, tmp_path: Path, words: tuple[str, ...]):
    """Weights, average and rows agree to float64's rounding, with half the minibatch on each rank."""
    alone, together = train(command, tmp_path / "one", *words), train_on_two_ranks(tmp_path / "two", *words)
    assert distance(alone, together) < 1e-9
    first, second = (rows(tmp_path / name / "metrics.jsonl") for name in ("one", "two"))
    assert [row["iteration"] for row in second] == [1, 1, 10, 10, 20, 20, 30, 30, 30]  # saturation's too; an evaluation
    for one, two in zip(first, second, strict=True):
        for key in one.keys() - {"seconds", "speed/images_per_second"}:
            assert two[key] == pytest.approx(one[key], rel=1e-5, abs=1e-7), key


@pytest.mark.usefixtures("untyped")
def test_a_wrong_average_would_be_seen(command: Callable, tmp_path: Path):
    """The bound above is no formality: another batch size, as if one rank were alone, is off by far more."""
    whole, half = train(command, tmp_path / "whole"), train(command, tmp_path / "half", "batch_size=4")
    assert distance(whole, half) > 1e-3


@pytest.mark.slow
def test_two_ranks_in_a_sweep_make_one_folder_a_run(tmp_path: Path):
    """Further ranks must not replay the sweep, and a run after one on two ranks may be on one."""
    program = Program(tmp_path, "-m", *WORDS, "trainer.devices=2,1", "seed=0,1", "hydra.sweep.dir=sweep",
                      "hydra.sweep.subdir=${trainer.devices}-${seed}")  # fmt: skip
    assert program.wait() == 0, program.printed()
    assert re.findall(".*runs finished", program.printed()) == ["sweep sweep: 4 of 4 runs finished"]
    assert [path.name for path in tmp_path.iterdir()] == ["sweep"]
    assert {path.name for path in (tmp_path / "sweep").iterdir()} == {"1-0", "1-1", "2-0", "2-1", "multirun.yaml"}
    weights = {path.name: last(path) for path in (tmp_path / "sweep").iterdir() if path.is_dir()}
    assert distance(weights["1-0"], weights["2-0"]) < 1e-9
    assert distance(weights["1-1"], weights["2-1"]) < 1e-9
    assert distance(weights["1-0"], weights["1-1"]) > 1e-3


@pytest.mark.slow
@pytest.mark.usefixtures("untyped")
def test_torchrun_may_start_the_ranks(command: Callable, tmp_path: Path):
    """Every rank then runs train.py; only the first leaves a folder."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29617"]
    words = [*torchrun, str(TRAIN), *WORDS, "trainer.devices=2", "hydra.run.dir=run"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert distance(last(tmp_path / "run"), train(command, tmp_path / "alone")) < 1e-9


@pytest.mark.slow
@pytest.mark.usefixtures("untyped")
def test_two_nodes_equal_one_process(command: Callable, tmp_path: Path):
    """Two machines as Lightning sees them: train.py is started on each, with the node's number in the environment."""
    run_two(tmp_path, *WORDS, "trainer.num_nodes=2", "hydra.run.dir=run", numbered="NODE_RANK")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert distance(last(tmp_path / "run"), train(command, tmp_path / "alone")) < 1e-9


def test_a_batch_that_the_ranks_cannot_share_is_refused(command: Callable):
    refused = command("batch_size=9", "trainer.devices=2", "trainer.accelerator=cpu", "tracking=none")
    assert refused.code == 1
    assert refused.err == "error: batch_size=9 cannot be shared by 2 ranks. Try a multiple of 2.\n"


def test_on_one_rank_the_mean_over_ranks_is_the_tensor_without_gradient():
    """On two it is what a toy's buffers need to be equal (test_signatures.py)."""
    x = torch.ones(3, requires_grad=True)
    assert torch.equal(mean_over_ranks(x), torch.ones(3))
    assert not mean_over_ranks(x).requires_grad
