"""No penalty is exactly none: zero, without a look at D."""

import torch

from ganduel.penalty.none import NoPenalty


def test_is_zero_and_never_calls_the_discriminator():
    def discriminator(x):
        raise AssertionError("called")

    penalty = NoPenalty()(discriminator, torch.ones(3, 2, dtype=torch.float64), torch.ones(3, 2, dtype=torch.float64))
    assert penalty.shape == ()
    assert penalty.dtype == torch.float64
    assert penalty.item() == 0
    assert not NoPenalty.active
