"""The logit and the class's log-probability, and what both players make of them."""

import math

import pytest
import torch

from ganduel.condition.auxiliary import Auxiliary, AuxiliaryLoss
from ganduel.errors import UserError
from ganduel.factory.data import build_data
from ganduel.factory.gan import build_gan
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.relativistic import Relativistic
from ganduel.model.mlp import MLPDiscriminator
from ganduel.run.run import check_rows


def test_d_gives_the_logit_and_the_log_probability_of_the_label():
    d = Auxiliary().discriminator(lambda shape: MLPDiscriminator(shape, hidden=[5]), (3,), 4)
    x, y = torch.randn(6, 3), torch.arange(6) % 4
    out = d(x, y)
    torch.testing.assert_close(out[:, 0], d.net(x))
    scores = d.classifier(d.tap[0].take())
    torch.testing.assert_close(-out[:, 1].mean(), torch.nn.functional.cross_entropy(scores, y))
    total = sum(d(x, torch.full((6,), c))[:, 1].exp() for c in range(4))
    torch.testing.assert_close(total, torch.ones(6))


def test_both_players_want_the_class_right():
    """L_D − E[log p(y|x)] − E[log p(y|G)], L_G − E[log p(y|G)], each times the weight: Odena et al. 2017."""
    real, fake = torch.tensor([[1.0, -0.5], [2.0, -0.1]]), torch.tensor([[0.0, -2.0], [-1.0, -4.0]])
    loss, plain = AuxiliaryLoss(NonSaturating(), 0.5), NonSaturating()
    expected = plain.discriminator(real[:, 0], fake[:, 0]) + 0.5 * (0.3 + 3.0)
    assert loss.discriminator(real, fake).item() == pytest.approx(expected.item())
    assert loss.generator(None, fake).item() == pytest.approx((plain.generator(None, fake[:, 0]) + 0.5 * 3).item())
    assert loss.logits(fake).tolist() == [0, -1]
    assert (loss.log_odds, loss.threshold, loss.outputs) == (True, 0, 2)
    assert loss.statistics(real[:, 0], fake[:, 0]).keys() == plain.statistics(real[:, 0], fake[:, 0]).keys()


def test_a_relativistic_loss_sees_logits_alone():
    real, fake = torch.randn(4, 2), torch.randn(4, 2)
    loss = AuxiliaryLoss(Relativistic(), 0.0)
    assert loss.generator_uses_real
    torch.testing.assert_close(loss.generator(real, fake), Relativistic().generator(real[:, 0], fake[:, 0]))


def test_a_figure_draws_the_loss_of_the_logits():
    """A run's loss_form.json and its saturation panel are those of the loss beside the classes, where there are any."""
    loss = NonSaturating()
    assert AuxiliaryLoss(loss, 1.0).per_logit is loss
    assert AuxiliaryLoss(Relativistic(), 1.0).per_logit is None


def test_a_d_that_knows_nothing_pays_log_classes():
    d = Auxiliary().discriminator(lambda shape: MLPDiscriminator(shape, hidden=[5]), (3,), 4)
    torch.nn.init.zeros_(d.classifier.weight)
    torch.nn.init.zeros_(d.classifier.bias)
    assert d(torch.randn(2, 3), torch.tensor([0, 3]))[:, 1].tolist() == pytest.approx([-math.log(4)] * 2)


def test_a_negative_weight_is_refused():
    with pytest.raises(UserError, match=r"condition\.weight=-1\.0 must not be negative"):
        Auxiliary(-1.0)


def test_a_ranks_part_of_a_batch_is_tried_with_all_that_d_gives(tiny):
    """Of two numbers per sample, as for the whole batch: with two ranks the run was refused."""
    config = tiny("condition=auxiliary", "data=ring8", "trainer.devices=2")
    check_rows(config, build_gan(config, build_data(config)))
