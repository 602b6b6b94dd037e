"""The class hands its sets to the function of the same name, the real one first."""

import torch

from ganduel.data.ring8 import Ring8
from ganduel.metric.frechet import FrechetDistance
from ganduel.metric.functional import frechet_distance


def test_value_is_the_functions():
    metric = FrechetDistance()
    metric.fit_to(Ring8())
    real, fake = torch.randn(50, 2), torch.randn(60, 2) + 1
    metric.update(real, real=True)
    metric.update(fake, real=False)
    assert metric.compute() == {"fd/points_10k": frechet_distance(real, fake)}
    assert metric.directions == {"fd/points_10k": False}
