"""Grids and animations, pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from ganduel.image_grid import BACKGROUND, GAP, animate, class_labels, columns_of, generate, make_grid


def numbered(n: int, channels: int, height: int = 3, width: int = 2) -> Tensor:
    """Images of bytes, no two pixels of one channel alike up to 256 of them."""
    return (
        torch.arange(n * channels * height * width).remainder(251).to(torch.uint8).reshape(n, channels, height, width)
    )


@pytest.mark.parametrize(("n", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (5, 3, 2), (64, 8, 8), (65, 9, 8)])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_is_in_its_place_and_the_rest_is_background(n: int, columns: int, rows: int, channels: int) -> None:
    images = numbered(n, channels)
    picture = make_grid(images)
    assert (picture.mode, picture.size) == ("L" if channels == 1 else "RGB", (columns * 4 - GAP, rows * 5 - GAP))
    expected = np.full((rows * 5 - GAP, columns * 4 - GAP, channels), BACKGROUND, dtype=np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * 5, i % columns * 4
        expected[y : y + 3, x : x + 2] = image.permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(np.asarray(picture).reshape(expected.shape), expected)
    assert columns_of(n) == columns


def test_columns_can_be_given() -> None:
    assert make_grid(numbered(6, 1), columns=6).size == (6 * 4 - GAP, 3)
    assert make_grid(numbered(6, 1), columns=1).size == (2, 6 * 5 - GAP)


def test_floats_are_rounded_and_clamped() -> None:
    images = torch.tensor([-7.0, -1.0, 0.999, 7.0]).reshape(1, 1, 2, 2)
    assert np.asarray(make_grid(images)).tolist() == [[0, 0], [255, 255]]


def test_a_picture_one_pixel_wide_stays_one() -> None:
    assert make_grid(torch.zeros(1, 1, 1, 1)).size == (1, 1)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("from_files", [True, False])
def test_an_animation_has_its_frames_and_rests_on_the_last(
    tmp_path: Path, mode: str, count: int, from_files: bool
) -> None:
    colours = [40 * (i + 1) if mode == "L" else (40 * (i + 1), 0, 200) for i in range(count)]
    pictures = [Image.new(mode, (4, 3), colour) for colour in colours]
    files = [tmp_path / f"{i}.png" for i in range(count)]
    for picture, file in zip(pictures, files, strict=True):
        picture.save(file)
    animate(files if from_files else pictures, tmp_path / "x.gif", milliseconds=120, pause=900)
    with Image.open(tmp_path / "x.gif") as gif:
        assert getattr(gif, "n_frames", 1) == count
        assert gif.size == (4, 3)
        durations = []
        for i, colour in enumerate(colours):
            gif.seek(i)
            durations.append(gif.info["duration"])
            assert gif.convert(mode).getpixel((1, 1)) == colour
        assert durations == [120] * (count - 1) + [900]
        assert count == 1 or gif.info["loop"] == 0


def test_generate_gives_each_layer_its_own_mode_back() -> None:
    """A BatchNorm that a user froze stays frozen when samples are drawn in the middle of training."""
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))
    net.train()
    net[1].eval()
    z = torch.randn(7, 2)
    samples = generate(net, z, batch=3)
    assert [module.training for module in net.modules()] == [True, True, False, True]
    assert not samples.requires_grad
    torch.testing.assert_close(samples, net.eval()(z))  # BatchNorm and Dropout were off, and no row is lost


class Conditional(nn.Linear):
    """A generator that shows the labels it gets."""

    classes = 3

    def __init__(self):
        super().__init__(2, 2)

    def forward(self, z, y):
        assert y.dtype == torch.int64
        assert y.device == z.device
        return torch.stack([z[:, 0], y.to(z)], dim=1)


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_a_conditional_generator_gets_all_classes_in_turn(batch: int) -> None:
    """Across batches too; or the labels that are asked for."""
    z = torch.randn(8, 2)
    samples = generate(Conditional(), z, batch=batch)
    assert torch.equal(samples[:, 0], z[:, 0])
    assert samples[:, 1].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    labels = torch.tensor([2, 2, 2, 1, 1, 1, 0, 0])
    assert generate(Conditional(), z, batch, labels)[:, 1].tolist() == labels.tolist()
    assert class_labels(Conditional(), 3, start=4).tolist() == [1, 2, 0]


def test_a_generator_without_classes_gets_the_noise_alone() -> None:
    net = nn.Linear(2, 2)
    assert class_labels(net, 3) is None
    net.classes = None  # type: ignore[assignment]
    assert generate(net, torch.zeros(3, 2)).shape == (3, 2)


def test_generate_gives_the_mode_back_after_an_error() -> None:
    net = nn.Linear(2, 2).train()
    with pytest.raises(RuntimeError):
        generate(net, torch.zeros(1, 3))
    assert net.training


def test_generate_works_for_a_generator_without_weights() -> None:
    assert generate(nn.Tanh(), torch.zeros(3, 2)).shape == (3, 2)
