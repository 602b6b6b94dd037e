"""Grids of one fixed noise: when they are drawn, of which network, and that drawing leaves training alone."""

import pytest
import torch
from lightning.pytorch import Callback
from PIL import Image

from ganduel import rng
from ganduel.callback.sample_grid import SampleGrid
from ganduel.data.base import TensorData
from ganduel.errors import UserError
from ganduel.factory.gan import build_gan
from ganduel.image_grid import generate, make_grid
from ganduel.tracking.base import Logger


class Album(Logger):
    """A tracker that keeps what pictures it is shown."""

    name, version = "album", "0"

    def __init__(self):
        super().__init__()
        self.pictures = []

    def log_metrics(self, metrics, step=None):
        pass

    def log_picture(self, key, path, caption, step):
        assert path.is_file()
        self.pictures.append((step, key, path.name, caption))


def test_files_of_a_run(fit, tmp_path):
    album = Album()
    fit("ema.every_n_iterations=1", callbacks=[SampleGrid(n=5, first=2, growth=2.0)], loggers=[album])
    iterations = (0, 2, 4, 6)
    names = [f"iteration_{n:08d}.png" for n in iterations]
    folder = tmp_path / "samples"
    assert sorted(path.name for path in folder.iterdir()) == [*names, "progress.gif", "real.png"]
    assert [(step, key, name) for step, key, name, _ in album.pictures] == [
        (0, "samples/real", "real.png"),
        *((n, "samples/fake", name) for n, name in zip(iterations, names, strict=True)),
    ]
    assert album.pictures[-1][3] == "iteration 6, 24 images, average of G, seed 0"
    with Image.open(folder / names[0]) as grid, Image.open(folder / "progress.gif") as animation:
        assert grid.size == (3 * 3 + 2 * 2, 2 * 2 + 2)  # three by two tiles of 3×2 pixels, two between them
        assert animation.n_frames == 4


def test_picture_is_of_the_average_on_the_runs_own_noise(fit, tiny, images, tmp_path):
    """Not of G itself, and not on another seed's noise."""
    gan = build_gan(tiny("seed=3", "optimizer.generator.lr=0.1"), images)
    fit(callbacks=[SampleGrid(n=4)], gan=gan)

    def picture(net, seed):
        noise = gan.generator.draw(4, rng.generator(seed, "grid"))
        return make_grid(generate(net, noise)).tobytes()

    with Image.open(tmp_path / "samples" / "iteration_00000006.png") as drawn:
        pixels = drawn.tobytes()
    assert pixels == picture(gan.ema.net, 3)
    assert pixels != picture(gan.generator, 3)
    assert pixels != picture(gan.ema.net, 0)


def test_the_noise_stays_the_same(fit, tmp_path):
    """Weights that do not move make the same picture each time."""
    still = [f"optimizer.{name}.lr=0.0" for name in ("discriminator", "generator")]
    fit(*still, callbacks=[SampleGrid(n=4, first=3, growth=2.0)])
    first, *others = (path.read_bytes() for path in sorted((tmp_path / "samples").glob("iteration_*.png")))
    assert others == [first, first]


def test_samples_are_of_the_average_where_there_is_one(fit):
    album = Album()
    fit("ema=null", callbacks=[SampleGrid(n=2)], loggers=[album])
    assert album.pictures[-1][3].split(", ")[2] == "G"


class Disturb(Callback):
    """Draws from the global generator, as some library might."""

    def on_train_batch_end(self, *arguments):
        torch.randn(3)


def test_drawing_leaves_training_bit_identical(fit):
    """With BatchNorm in G, whose statistics a pass in training mode would move."""
    words = ["model.generator.norm=batch"]
    plain = fit(*words).lightning_module.state_dict()
    drawn = fit(*words, callbacks=[SampleGrid(n=3, first=1, growth=1.01), Disturb()]).lightning_module
    assert drawn.generator.training
    assert all(torch.equal(plain[key], value) for key, value in drawn.state_dict().items())


@pytest.mark.parametrize("shape", [(12, 2), (12, 2, 3, 3)])
def test_data_that_are_no_images_are_passed_over(fit, tiny, tmp_path, shape):
    gan = build_gan(tiny(), TensorData(torch.rand(shape)))
    fit(callbacks=[SampleGrid()], gan=gan)
    assert not (tmp_path / "samples").exists()


def test_the_gif_is_optional(fit, tmp_path):
    fit(callbacks=[SampleGrid(n=2, gif=False)])
    assert not (tmp_path / "samples" / "progress.gif").exists()


def test_more_tiles_than_data(fit, tmp_path):
    """Twelve images are all there are to show; G shows as many as asked for."""
    fit(callbacks=[SampleGrid(n=16)])
    with Image.open(tmp_path / "samples" / "real.png") as real:
        assert real.size == (4 * 3 + 3 * 2, 3 * 2 + 2 * 2)
    with Image.open(tmp_path / "samples" / "iteration_00000006.png") as fake:
        assert fake.size == (4 * 3 + 3 * 2, 4 * 2 + 3 * 2)


@pytest.mark.parametrize("knob", [{"n": 0}, {"first": 0}, {"growth": 1.0}, {"growth": float("nan")}])
def test_refuses_what_makes_no_grid(knob):
    with pytest.raises(UserError, match=r"callback\.sample_grid needs n ≥ 1, first ≥ 1 and growth > 1"):
        SampleGrid(**knob)
