"""Minibatch standard deviation: by hand, over groups, for batches of any size."""

import pytest
import torch

from ganduel.errors import UserError
from ganduel.model.minibatch_std import MinibatchStd


def test_the_mean_deviation_is_a_further_channel():
    """Of two samples that differ by 2 in one of two channels: deviations 1 and 0, a mean of 1/2."""
    x = torch.zeros(2, 2, 3, 3)
    x[1, 0] = 2
    y = MinibatchStd(4)(x)
    assert y.shape == (2, 3, 3, 3)
    assert torch.equal(y[:, :2], x)
    torch.testing.assert_close(y[:, 2], torch.full((2, 3, 3), 0.5), atol=1e-4, rtol=0)


def test_groups_do_not_see_each_other():
    """Eight samples are the groups 0, 2, 4, 6 and 1, 3, 5, 7."""
    x = torch.randn(8, 2, 3, 3)
    x[1::2] = 7
    deviation = MinibatchStd(4)(x)[:, 2, 0, 0]
    torch.testing.assert_close(deviation[0::2], x[0::2].std(0, correction=0).mean().expand(4))
    assert deviation[1::2].max() < 1e-3


@pytest.mark.parametrize(("n", "group"), [(6, 3), (9, 3), (10, 2), (3, 3), (1, 1), (7, 1)])
def test_a_group_is_the_largest_that_divides_the_batch(n, group):
    x = torch.randn(n, 1, 2, 2)
    expected = x.unflatten(0, (group, n // group)).std(0, correction=0).mean((1, 2, 3)).repeat(group)
    torch.testing.assert_close(MinibatchStd(4)(x)[:, 1, 0, 0], expected, atol=1e-3, rtol=0)


def test_equal_samples_have_a_gradient():
    """Where G has collapsed the deviation is 0, and its root is not to be differentiated there."""
    x = torch.ones(4, 1, 2, 2, requires_grad=True)
    MinibatchStd(4)(x).square().sum().backward()
    assert x.grad.isfinite().all()


def test_refuses_groups_of_none():
    with pytest.raises(UserError, match="groups of 0"):
        MinibatchStd(0)
