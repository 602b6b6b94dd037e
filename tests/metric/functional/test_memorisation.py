"""Distances to the training data, by hand and for samples of their own density."""

import pytest
import torch

from ganduel.metric.functional import memorisation


def test_by_hand():
    """On a line: ε = 1, as near as any training row is to another, and a sample on the rim counts."""
    train = torch.tensor([[0.0], [1.0], [3.0], [5.0]])
    fake = torch.tensor([[0.0], [4.0], [7.0], [7.5], [20.0]])
    found = memorisation(train, fake)
    assert found.nearest == 2.0  # of 0, 1, 2, 2.5, 15
    assert found.copies == 2 / 5
    assert found.repeats == 2 / 5


def test_samples_of_the_same_density_hardly_repeat_anything():
    """One in a hundred, as of the training rows themselves."""
    draws = torch.Generator().manual_seed(0)
    train, fake, near = (torch.randn(2000, 3, generator=draws) for _ in range(3))
    found, other = memorisation(train, fake), memorisation(train, near)
    assert found.copies.item() == pytest.approx(0.01, abs=0.008)
    assert found.repeats.item() == pytest.approx(0.01, abs=0.008)
    assert found.nearest.item() == pytest.approx(other.nearest.item(), rel=0.05)


def test_copies_of_training_rows_and_of_one_sample():
    train = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    assert memorisation(train, train[:100]) == (0, 1, pytest.approx(0.03, abs=0.03))
    assert memorisation(train, torch.full((100, 3), 9.0))[1:] == (0, 1)


def test_where_training_data_repeat_themselves_exact_copies_count():
    train = torch.tensor([[0.0], [0.0], [1.0], [2.0]])
    assert memorisation(train, torch.tensor([[1e-9], [1.0]])).copies == 0.5
