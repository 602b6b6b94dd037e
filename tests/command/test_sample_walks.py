"""Walks between samples: where they begin and end, and what lies between."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sampled import IMAGE, cut, everything, save, tiles

from ganduel import rng
from ganduel.command import sample as module
from ganduel.command.sample import FRAMES, WAYPOINTS, sample
from ganduel.trained.generator import BLOCK, STEPS
from ganduel.trained.interpolate import interpolate
from ganduel.trained.load import load


@pytest.mark.parametrize("noise", ["normal", "uniform"])
@pytest.mark.parametrize("dim", [1, 2, 6])
def test_a_walk_begins_and_ends_exactly_where_it_should(tmp_path: Path, noise: str, dim: int) -> None:
    source = load(save(tmp_path / "a.ckpt", noise=noise, noise_dim=dim), device="cpu")
    z = source.generator.draw(BLOCK, rng.generator(3, "sample", 0))
    ends = source.noise(10, seed=3).unflatten(0, (5, 2))
    assert torch.equal(ends.flatten(0, 1), z[:10])
    points = interpolate(source.generator, ends[:, 0], ends[:, 1], torch.linspace(0, 1, STEPS))
    assert points.shape == (5, STEPS, dim)
    assert points.isfinite().all()
    assert torch.equal(points[:, 0], z[:10:2])
    assert torch.equal(points[:, -1], z[1:10:2])


def test_more_walks_than_a_block_has_noise_for(tmp_path: Path) -> None:
    source = load(save(tmp_path / "a.ckpt"), device="cpu")
    walks = source.interpolate(501, steps=2)
    z = source.generator.draw(BLOCK, rng.generator(0, "sample", 1))[:2]
    assert torch.equal(walks[500], source.generate(z))


def test_each_row_walks_between_two_plain_samples(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt")
    sample(path, tmp_path / "w.png", n=3, seed=2, interpolate=True, device="cpu")
    rows = tiles(tmp_path / "w.png", STEPS).reshape(3, STEPS, *IMAGE[1:]).astype(int)
    plain = everything(path, 6, seed=2)[:, 0].numpy().astype(int)
    assert np.abs(rows[:, 0] - plain[0::2]).max() <= 1  # a last bit may round another way in another batch
    assert np.abs(rows[:, -1] - plain[1::2]).max() <= 1
    assert (rows[:, 4] != rows[:, 0]).any(axis=(1, 2)).all()


def test_a_gif_is_a_closed_walk_through_plain_samples(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt")
    sample(path, tmp_path / "w.gif", n=2, interpolate=True, device="cpu")
    with Image.open(tmp_path / "w.gif") as gif:
        assert (gif.n_frames, gif.info["loop"]) == (WAYPOINTS * FRAMES, 0)  # type: ignore[attr-defined]
        frames = []
        for i in range(WAYPOINTS * FRAMES):
            gif.seek(i)
            assert gif.info["duration"] == module.MILLISECONDS
            frames.append(cut(np.asarray(gif.convert("L")), 2).astype(int))
    film = np.stack(frames)
    plain = everything(path, 8)[:, 0].numpy().astype(int).reshape(2, WAYPOINTS, *IMAGE[1:])
    for i in range(WAYPOINTS):
        assert np.abs(film[i * FRAMES] - plain[:, i]).max() <= 1
    steps = np.abs(np.roll(film, -1, axis=0) - film).max(axis=(1, 2, 3))  # the last: from the end to the beginning
    assert steps[-1] <= steps[:-1].max()
    assert steps.max() < np.abs(film[FRAMES] - film[0]).max() / 2
