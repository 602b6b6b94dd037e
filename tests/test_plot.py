"""The plots are written, of the stated size, and the same bytes twice."""

import numpy as np
from PIL import Image

from ganduel.plot import plot_line, plot_plane


def test_line_is_drawn_the_same_twice(tmp_path):
    x = np.linspace(-3, 3, 100)
    p = np.exp(-(x**2))
    for name in ("a.png", "b.png"):
        plot_line(tmp_path / name, "title", x, p, p[::-1], p, 1 - p, x[:5])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (700, 400)


def test_plane_is_not_transposed(tmp_path):
    """D is 1 in the right half: there the picture is bright."""
    d = np.zeros((50, 50))
    d[25:] = 1
    plot_plane(tmp_path / "a.png", "", (-1.0, 1.0, -1.0, 1.0), d, np.zeros((1, 2)), np.zeros((1, 2)))
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.array(picture.convert("L")).astype(int)
    height, width = pixels.shape
    left, right = pixels[height // 4, width // 4], pixels[3 * height // 4, width // 2 + 20]
    assert right > left + 50
