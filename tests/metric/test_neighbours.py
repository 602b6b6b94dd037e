"""Precision and recall are not swapped on their way, and each has its own k."""

import torch

from ganduel.data.ring8 import Ring8
from ganduel.metric.functional import density_coverage, precision_recall
from ganduel.metric.neighbours import Neighbours


def test_tight_cluster_in_a_wide_cloud():
    """All fakes are among the real ones, and next to no real one is among the fakes."""
    real, fake = torch.randn(300, 2), torch.randn(300, 2) / 50
    metric = Neighbours(samples=300, k=4, k_coverage=6)
    metric.fit_to(Ring8())
    metric.update(real, real=True)
    metric.update(fake, real=False)
    values = {key.partition("/")[0]: value for key, value in metric.compute().items()}
    precision, recall = precision_recall(real, fake, 4)
    density, coverage = density_coverage(real, fake, 6)
    assert values == {"precision": precision, "recall": recall, "density": density, "coverage": coverage}
    assert values["precision"] > 0.9
    assert values["recall"] < 0.1
