"""Which generator is taken from a run or a checkpoint, and which is not."""

from pathlib import Path

import pytest
import torch
from sampled import edit, read, save

from ganduel.command.sample import sample
from ganduel.errors import UserError
from ganduel.trained.load import load


def test_live_is_g_itself(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", output="identity")
    edit(path, generator__net__2__weight=0.0, generator__net__2__bias=-1.0)
    line = sample(path, tmp_path / "x.npz", n=3, live=True, device="cpu")
    assert (read(tmp_path / "x.npz") == 0).all()
    assert "3 images from G itself at iteration 7" in line
    sample(path, tmp_path / "x.npz", n=3, device="cpu")
    assert (read(tmp_path / "x.npz") != 0).any()


@pytest.mark.parametrize("live", [False, True])
def test_a_run_without_an_average_is_sampled_from_g(tmp_path: Path, live: bool) -> None:
    line = sample(save(tmp_path / "a.ckpt", average=False), tmp_path / "x.png", n=1, live=live, device="cpu")
    assert f"1 image from G itself{'' if live else ' (the run keeps no average)'} at iteration 7, seed 0" in line


def test_a_run_folder_means_its_newest_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    save(tmp_path / "checkpoints" / "iteration_00000000.ckpt")
    last = save(tmp_path / "checkpoints" / "last.ckpt")
    sample(tmp_path, tmp_path / "a.npz", n=3, device="cpu")
    sample(last, tmp_path / "b.npz", n=3, device="cpu")
    assert (read(tmp_path / "a.npz") == read(tmp_path / "b.npz")).all()


def test_a_checkpoint_that_names_no_network_builds_nothing(tmp_path: Path):
    """Even if its user trusts it; what a stranger's may name is in tests/regression."""
    path = save(tmp_path / "w.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    made = tmp_path / "made"
    checkpoint["ganduel"]["config"]["model"]["generator"] = {"_target_": "os.mkdir", "path": str(made)}
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match=r"os\.mkdir as its generator, which is no network"):
        load(path, trust=True)
    assert not made.exists()
