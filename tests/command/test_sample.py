"""Samples from checkpoints made by hand: a small G, and as its average another one."""

import math
import tracemalloc
import weakref
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from sampled import IMAGE, POINT, edit, everything, read, save, tiles

from ganduel import rng
from ganduel.atomic import output_file
from ganduel.command import sample as module
from ganduel.command.sample import sample
from ganduel.errors import UserError
from ganduel.factory.part import build
from ganduel.trained import generator
from ganduel.trained.generator import BATCH, BLOCK


@pytest.mark.parametrize("shape", [IMAGE, (3, 4, 4), (1, 1, 1), POINT, (2, 4, 4)])
def test_npz_holds_what_the_average_makes_of_the_documented_noise(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path, out = save(tmp_path / "a.ckpt", shape), tmp_path / "x.npz"
    line = sample(path, out, n=1003, seed=5, device="cpu")
    checkpoint = torch.load(path, weights_only=True)
    generator = build(checkpoint["ganduel"]["config"]["model"]["generator"], shape=shape)
    generator.load_state_dict(
        {k.removeprefix("ema.net."): v for k, v in checkpoint["state_dict"].items() if k.startswith("ema.net.")}
    )
    z = torch.cat([torch.randn(1000, 6, generator=rng.generator(5, "sample", i)) for i in (0, 1)])[:1003]
    expected = generator(z).detach().numpy()
    found = read(out)
    assert found.shape == (1003, *shape)
    if len(shape) == 3 and shape[0] != 2:
        assert found.dtype == np.uint8
        assert np.abs(found - (expected.astype(np.float64) + 1) * 127.5).max() <= 0.5 + 1e-4
        assert f"{out}: 1,003 images from the average of G at iteration 7, seed 5" == line
    else:
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert f"{out}: 1,003 samples from the average of G at iteration 7, seed 5" == line


@pytest.mark.parametrize("n", [1, 10, BATCH, BATCH + 1, BLOCK, BLOCK + 1])
@pytest.mark.parametrize("shape", [IMAGE, POINT])
def test_fewer_samples_are_the_first_of_more_to_the_last_bit(tmp_path: Path, shape: tuple, n: int) -> None:
    path = save(tmp_path / "a.ckpt", shape)
    few, many = everything(path, n), everything(path, 2 * BLOCK + 30)
    assert len(few) == n
    assert len(many) == 2 * BLOCK + 30
    assert torch.equal(few, many[:n])


@pytest.mark.parametrize(("batch", "n"), [(1, 100), (7, 1100), (64, 1100), (999, 1100), (BLOCK, 1100)])
def test_samples_do_not_depend_on_the_batch(tmp_path: Path, batch: int, n: int) -> None:
    path = save(tmp_path / "a.ckpt", POINT, norm="batch")
    torch.testing.assert_close(everything(path, n, batch=batch), everything(path, n), atol=1e-6, rtol=1e-5)


def test_seeds_and_blocks_give_unrelated_samples(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", POINT)
    first = everything(path, 2 * BLOCK)
    assert not torch.equal(first[:BLOCK], first[BLOCK:])
    assert len(torch.cat([first, everything(path, 2 * BLOCK, seed=1)]).unique(dim=0)) == 4 * BLOCK


@pytest.mark.parametrize(("name", "walks"), [("x.png", False), ("x.npz", False), ("x.png", True), ("x.gif", True)])
def test_the_same_file_comes_out_twice(tmp_path: Path, name: str, walks: bool) -> None:
    path, made = save(tmp_path / "a.ckpt"), []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / folder).mkdir()
        torch.rand(3)  # the global generator is of no influence
        sample(path, tmp_path / folder / name, n=5, seed=seed, interpolate=walks, device="cpu")
        assert [file.name for file in (tmp_path / folder).iterdir()] == [name]
        made.append((tmp_path / folder / name).read_bytes())
    assert made[0] == made[1] != made[2]
    if name == "x.npz":
        with zipfile.ZipFile(tmp_path / "a" / name) as archive:
            assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_sampling_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt")
    before = torch.get_rng_state()
    sample(path, tmp_path / "x.png", n=3, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_floats_become_bytes_by_rounding(tmp_path: Path) -> None:
    """(0.999 + 1) · 127.5 is 254.87: 255, and 254 only for one who truncates."""
    path = save(tmp_path / "a.ckpt", output="identity")
    edit(path, ema__net__net__2__weight=0.0, ema__net__net__2__bias=0.999)
    sample(path, tmp_path / "x.npz", n=3, device="cpu")
    sample(path, tmp_path / "x.png", n=1, device="cpu")
    assert (read(tmp_path / "x.npz") == 255).all()
    assert (tiles(tmp_path / "x.png", 1) == 255).all()


def test_a_grid_shows_the_samples_of_the_npz(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt")
    sample(path, tmp_path / "x.png", n=7, device="cpu")
    sample(path, tmp_path / "x.npz", n=7, device="cpu")
    found = tiles(tmp_path / "x.png", 3)
    assert (found[:7] == read(tmp_path / "x.npz")[:, 0]).all()
    assert (found[7:] == 255).all()


def test_an_npz_of_any_size_passes_through_memory_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most, generate_stored = 0, generator.generate_stored

    def watched(*arguments: Any) -> torch.Tensor:
        nonlocal most
        made = generate_stored(*arguments)
        alive.add(made)
        most = max(most, len(alive))
        return made

    monkeypatch.setattr(generator, "generate_stored", watched)
    path = save(tmp_path / "a.ckpt", (1, 28, 28))
    sample(path, tmp_path / "x.npz", n=10, device="cpu")  # what is imported only once
    tracemalloc.start()
    try:
        sample(path, tmp_path / "x.npz", n=6000, device="cpu")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "x.npz").stat().st_size > 6000 * 784
    assert peak < 1_500_000  # of 4.7 MB
    assert most <= 3


def half_written(out: Path, error: BaseException) -> None:
    with output_file(out) as part:
        part.write_text("half")
        raise error


def test_what_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    out = tmp_path / "x.npz"
    out.write_text("old")
    path = edit(save(tmp_path / "a.ckpt", POINT), ema__net__net__2__bias=math.nan)
    with pytest.raises(UserError, match="gives NaN or infinity: the run diverged"):
        sample(path, out, n=3, device="cpu")
    with pytest.raises(UserError, match=r"x.npz cannot be written: No space left on device\."):
        half_written(out, OSError(28, "No space left on device"))
    with pytest.raises(KeyboardInterrupt):
        half_written(out, KeyboardInterrupt())
    assert out.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.ckpt", "x.npz"]


@pytest.mark.parametrize(("terminal", "patience", "shown"), [(True, 0.0, True), (True, 60.0, False), (False, 0, False)])
def test_a_bar_appears_on_a_terminal_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture, terminal: bool, patience: float, shown: bool
) -> None:
    monkeypatch.setattr(module, "Console", partial(Console, force_terminal=terminal))
    parts = [torch.ones(2), torch.ones(3)]
    assert list(module.progress(iter(parts), 5, patience=float(patience))) == parts
    printed = capfd.readouterr()
    assert ("sampling" in printed.err) == shown
    assert printed.out == ""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_same_samples(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", POINT)
    for device in ("cpu", "cuda"):
        sample(path, tmp_path / f"{device}.npz", n=1003, device=device)
    np.testing.assert_allclose(read(tmp_path / "cuda.npz"), read(tmp_path / "cpu.npz"), atol=1e-5)


def test_a_large_grid_is_pointed_to_npz(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", (1, 30, 30))
    with pytest.raises(UserError, match=r"32,000 × 32,000 pixels is more than can be looked at. Use .*x\.npz"):
        sample(path, tmp_path / "x.png", n=1_000_000, device="cpu")
    with pytest.raises(UserError, match=r"in 64 frames is more .* smaller --n"):
        sample(path, tmp_path / "x.gif", n=10_000, interpolate=True, device="cpu")
