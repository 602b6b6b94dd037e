"""What is not the same for all members of a stack: losses, group by group. The rest is in test_trainer."""

import pytest
import torch

from ganduel.loss.base import Loss
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.saturating import Saturating
from ganduel.population.gan import StackedLoss


class Relativistic(Loss):
    """It compares with real samples in G's update, too."""

    generator_uses_real = True

    def discriminator(self, real, fake):
        return -(real - fake).sigmoid().log().mean()

    def generator(self, real, fake):
        return -(fake - real).sigmoid().log().mean()


class Branching(Loss):
    """Looks at a number, which vmap cannot."""

    def discriminator(self, real, fake):
        return real.mean() if real.mean() > 0 else fake.mean()

    def generator(self, real, fake):
        assert real is None
        return fake.mean() * (2 if fake.sum() > 0 else 1)


@pytest.mark.parametrize("last", [Relativistic(), Branching()])
def test_each_member_has_the_loss_of_its_group(last: Loss):
    torch.manual_seed(1)
    real, fake = torch.randn(2, 4, 5)
    forms: list[Loss] = [Saturating(), NonSaturating(), NonSaturating(), last]
    groups = [(slice(0, 1), forms[0]), (slice(1, 3), forms[1]), (slice(3, 4), last)]
    losses = StackedLoss(groups)
    assert losses.batched is isinstance(last, Relativistic)
    assert losses.generator_uses_real is isinstance(last, Relativistic)
    members = list(zip(forms, real, fake, strict=True))
    of_d = torch.stack([loss.discriminator(a, b) for loss, a, b in members])
    of_g = torch.stack([loss.generator(a if loss.generator_uses_real else None, b) for loss, a, b in members])
    torch.testing.assert_close(losses.discriminator(real, fake), of_d)
    torch.testing.assert_close(losses.generator(real if losses.generator_uses_real else None, fake), of_g)
