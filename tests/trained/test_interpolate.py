"""Interpolation between two z."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganduel import rng
from ganduel.model.mlp import MLPGenerator
from ganduel.trained.interpolate import interpolate, slerp


def test_normal_noise_goes_along_the_arc_and_uniform_noise_straight() -> None:
    a, b = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    t = torch.tensor([1 / 3])
    arc = interpolate(MLPGenerator((2,), noise_dim=2), a, b, t)
    line = interpolate(MLPGenerator((2,), noise_dim=2, noise="uniform"), a, b, t)
    torch.testing.assert_close(arc[0, 0], torch.tensor([3 * math.cos(math.pi / 6), 3 * math.sin(math.pi / 6)]))
    torch.testing.assert_close(line[0, 0], torch.tensor([2.0, 1.0]))


@given(t=st.floats(0, 1), seed=st.integers(0, 100), scale=st.sampled_from([1.0, -1.0, 2.5]))
def test_the_arc_keeps_the_norm_and_survives_ends_on_one_line(t: float, seed: int, scale: float) -> None:
    a, b = torch.randn(2, 1, 16, generator=rng.generator(seed))
    a, b = a / a.norm(), b / b.norm()
    assert slerp(a, b, t).norm() == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(slerp(a, scale * a, t), (1 - t) * a + t * scale * a)
