"""One-hot labels as channels or coordinates."""

import pytest
import torch
from torch import nn

from ganduel.condition.concat import Concat, ConcatDiscriminator


class Seen(nn.Module):
    """A D that keeps what it sees."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        self.x = x
        return x.flatten(1).sum(1)


@pytest.mark.parametrize("shape", [(2,), (3, 4, 5)])
def test_the_class_is_beside_the_sample(shape):
    d = Concat().discriminator(Seen, shape, 3)
    x = torch.randn(2, *shape)
    d(x, torch.tensor([2, 0]))
    assert d.net.shape == (shape[0] + 3, *shape[1:])
    assert torch.equal(d.net.x[:, : shape[0]], x)
    planes = d.net.x[:, shape[0] :].flatten(2) if len(shape) > 1 else d.net.x[:, 2:, None]
    assert (planes == torch.tensor([[0.0, 0, 1], [1, 0, 0]])[:, :, None]).all()
    assert isinstance(d, ConcatDiscriminator)
