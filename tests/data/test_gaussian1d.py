"""One Gaussian: its draws have its mean and deviation."""

import pytest
import torch
from torch.distributions import Normal

from ganduel.data.gaussian1d import Gaussian1D


def test_density_is_the_normal_distributions():
    world = Gaussian1D(mean=3.0, sigma=0.7)
    x = torch.linspace(-1, 6, 20).unsqueeze(1)
    torch.testing.assert_close(world.log_prob(x), Normal(3.0, 0.7).log_prob(x.squeeze(1)))
    drawn = world.reference("train", 20_000)
    assert world.shape == (1,)
    assert drawn.mean().item() == pytest.approx(3, abs=0.03)
    assert drawn.std().item() == pytest.approx(0.7, abs=0.02)
