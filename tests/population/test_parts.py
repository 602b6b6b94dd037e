"""Losses, augmentations and averages of several members as one, against each member's alone."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys import AdaptiveNoise, LabelledPoints, Stretch

from ganduel.augment.base import Augment
from ganduel.batch import Batches
from ganduel.loss.hinge import Hinge
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.relativistic import Relativistic
from ganduel.population.parts import StackedAugment, StackedBatches, StackedEMA, StackedLoss, can_be_mapped, keeps_state
from ganduel.rng import Draws

pytestmark = pytest.mark.usefixtures("untyped")  # stand-ins for members
FIRST, SECOND = slice(0, 2), slice(2, 3)


class Noted(Hinge):
    """Reads a value on the host, which vmap cannot."""

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        self.last = fake.mean().item()
        return super().generator(real, fake)


def members(*augments: Augment) -> Any:
    """As far as an augmentation is of interest."""
    for seed, module in enumerate(augments):
        if isinstance(module, AdaptiveNoise):
            module.draws = Draws("cpu", 4)
            module.draws.seed(seed)
    return [SimpleNamespace(augment=module) for module in augments]


@pytest.mark.parametrize("second", [Hinge(), Noted(), Relativistic()])
def test_each_group_has_its_own_loss(second):
    """Logits of real samples in G's update are asked for where a loss looks at them, and for that group alone."""
    asked = []
    stacked = StackedLoss([(FIRST, NonSaturating()), (SECOND, second)])
    real, fake = torch.randn(2, 3, 4)
    stacked.real_output = lambda of: asked.append(of) or real[of]
    losses = [NonSaturating(), NonSaturating(), second]
    expected = [loss.discriminator(a, b) for loss, a, b in zip(losses, real, fake, strict=True)]
    torch.testing.assert_close(stacked.discriminator(real, fake), torch.stack(expected))
    expected = [loss.generator(a, b) for loss, a, b in zip(losses, real, fake, strict=True)]
    torch.testing.assert_close(stacked.generator(None, fake), torch.stack(expected))
    assert not stacked.generator_uses_real
    assert asked == [SECOND] * isinstance(second, Relativistic)


def test_losses_that_all_look_at_real_samples_get_them_at_once():
    stacked = StackedLoss([(FIRST, Relativistic()), (SECOND, Relativistic())])
    real, fake = torch.randn(2, 3, 4)
    assert stacked.generator_uses_real
    expected = torch.stack([Relativistic().generator(a, b) for a, b in zip(real, fake, strict=True)])
    torch.testing.assert_close(stacked.generator(real, fake), expected)


def test_a_loss_that_reads_a_value_is_not_mapped():
    assert can_be_mapped(Hinge())
    assert not can_be_mapped(Noted())


def test_each_group_has_its_own_augmentation():
    """Those that draw or keep something are applied member by member, and adapted each by its own logits."""
    x = torch.randn(4, 4, 2)
    alone = members(Augment(), AdaptiveNoise(), AdaptiveNoise(), Stretch())
    modules = members(Augment(), AdaptiveNoise(), AdaptiveNoise(), Stretch())
    groups = [slice(0, 1), slice(1, 3), slice(3, 4)]
    stacked = StackedAugment(modules, groups, x[0])
    assert stacked.batched == [True, False, True]
    expected = torch.stack([member.augment(samples) for member, samples in zip(alone, x, strict=True)])
    torch.testing.assert_close(stacked(x), expected)
    torch.testing.assert_close(stacked(x, groups[2]), 2 * x[3:])
    stacked.adapt({"logit/real": torch.tensor([[1.0], [1.0], [-1.0], [1.0]])})
    assert [round(member.augment.p.item(), 2) for member in modules[1:3]] == [0.52, 0.48]


def test_without_augmentations_samples_are_as_they_are():
    x = torch.randn(3, 4, 2)
    stacked = StackedAugment(members(Augment(), Augment(), Augment()), [FIRST, SECOND], x[0])
    assert stacked(x) is not None
    assert torch.equal(stacked(x), x)
    assert torch.equal(stacked(x, SECOND), x[2:])


def test_what_keeps_something_is_known():
    assert keeps_state(AdaptiveNoise())
    assert keeps_state(nn.Linear(1, 1))
    assert not keeps_state(Stretch())


@pytest.mark.parametrize("shared", [True, False])
def test_batches_of_members_are_those_of_each(shared: bool):
    data = LabelledPoints()
    batches = [
        Batches(data if shared else LabelledPoints(), lambda n, g: torch.randn(n, 2, generator=g), 2, 4, seed)
        for seed in (3, 5)
    ]
    stacked = StackedBatches([SimpleNamespace(batches=one) for one in batches])  # type: ignore[list-item]
    for t in (0, 40):
        batch, alone = stacked(t), [one(t) for one in batches]
        for i in range(2):
            pairs = zip(
                (*batch.discriminator, batch.generator), (*alone[i].discriminator, alone[i].generator), strict=True
            )
            for mine, theirs in pairs:
                for name in ("real", "labels", "noise", "fake_labels"):
                    assert torch.equal(getattr(mine, name)[i], getattr(theirs, name))


def test_without_averages_there_is_nothing_to_follow():
    stacked = StackedEMA(nn.Linear(1, 1), [SimpleNamespace(ema=None)], [slice(None)])  # type: ignore[arg-type]
    stacked.update(nn.Linear(1, 1), 1, 4)
    assert stacked.averages == []
