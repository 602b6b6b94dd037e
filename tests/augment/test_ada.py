"""ADA: the identity at p = 0, what it does to planted images at p = 1, and how p follows the sign of D's logits."""

import pytest
import torch

from ganduel.augment.ada import ADA, turn_around_grey
from ganduel.errors import UserError
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.relativistic import Relativistic
from ganduel.loss.wasserstein import Wasserstein
from ganduel.rng import Draws


def ada(n, seed=0, **options):
    augment = ADA(**options)
    augment.draws = Draws("cpu", n)
    augment.draws.seed("test", seed)
    return augment


def test_at_zero_it_is_the_identity_bit_for_bit():
    x = torch.randn(16, 3, 8, 8)
    assert torch.equal(ada(16)(x), x)


def test_blitting_moves_whole_pixels():
    """At p = 1: a planted pixel is one pixel still, up to rounding, where turns and shifts of 2 can bring it."""
    x = torch.zeros(400, 1, 16, 16)
    x[:, 0, 3, 4] = 1
    moved = ada(400, kinds=["blit"], p=1.0)(x)
    assert moved.flatten(1).max(1).values.min().item() == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(moved.flatten(1).sum(1), torch.ones(400), rtol=1e-4, atol=1e-4)
    assert len({int(row.argmax()) for row in moved}) > 60


def test_geometry_keeps_an_even_image_even():
    """Interpolation is a mean and borders are mirrors: nothing black comes in from outside."""
    x = torch.full((64, 3, 8, 8), 0.7)
    torch.testing.assert_close(ada(64, kinds=["blit", "geom"], p=1.0)(x), x, rtol=1e-5, atol=1e-5)


def test_geometry_scales_turns_and_moves():
    """Of a disc in the middle the area changes by 2^N(0, 0.4²), and its centre moves by N(0, 1/8²) of the size."""
    ys, xs = torch.meshgrid(torch.arange(32.0) - 15.5, torch.arange(32.0) - 15.5, indexing="ij")
    x = (3.0 - (ys.square() + xs.square()).sqrt()).clamp(0, 1).expand(600, 1, 32, 32)
    moved = ada(600, kinds=["geom"], p=1.0)(x)[:, 0]
    inside = [m for m in moved if m[[0, -1]].sum() + m[:, [0, -1]].sum() == 0]
    areas = torch.stack([m.sum() for m in inside]) / x[0].sum()
    assert areas.log2().std().item() == pytest.approx(0.4, abs=0.05)
    centres = torch.stack([torch.stack([(m * xs).sum(), (m * ys).sum()]) / m.sum() for m in inside])
    assert centres.std(0).tolist() == pytest.approx([4, 4], abs=0.8)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_colours_of_an_even_image_stay_even(channels):
    x = torch.randn(200, channels, 1, 1).expand(200, channels, 3, 3)
    changed = ada(200, kinds=["color"], p=1.0)(x)
    torch.testing.assert_close(changed, changed[:, :, :1, :1].expand_as(changed))
    assert (changed - x).abs().amax((1, 2, 3)).min() > 1e-4


def test_a_turn_of_the_hue_keeps_grey_and_length():
    angle = torch.tensor([0.0, 1.0, 2 * torch.pi / 3])
    turns = turn_around_grey(angle)
    torch.testing.assert_close(turns @ torch.ones(3), torch.ones(3, 3))
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).expand(3, 3, 3))
    torch.testing.assert_close(turns[0], torch.eye(3))
    assert sorted((turns[2] @ torch.tensor([1.0, 0.0, 0.0])).abs().round(decimals=5).tolist()) == [0, 0, 1]


def test_each_change_is_made_with_probability_p():
    """Of the three of blitting two thirds show: half of the mirrors and three quarters of the turns, at p = 0.3."""
    x = torch.randn(1, 1, 8, 8).expand(4000, 1, 8, 8)
    same = (ada(4000, kinds=["blit"], p=0.3)(x) == x).flatten(1).all(1).float().mean().item()
    shift_shows = 0.3 * (1 - 1 / 4)  # ±1/8 of 8 pixels: −1, 0 or 1 each way, 0 half of the time
    assert same == pytest.approx((1 - 0.3 / 2) * (1 - 0.3 * 3 / 4) * (1 - shift_shows), abs=0.04)


def test_second_derivatives_pass_through():
    x = torch.randn(2, 3, 4, 4).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: ada(2, p=0.8)(x).pow(2).sum(), x, atol=1e-4)


def test_p_rises_where_d_is_sure_and_falls_where_it_is_not():
    """After four iterations of 10 images p has moved by 40 / (1,000 · 1), towards the target, within [0, 1]."""
    augment = ada(10, speed_kimg=1.0)
    sure, unsure = {"logit/real": torch.ones(10)}, {"logit/real": torch.tensor([1.0] * 7 + [-1.0] * 3)}
    seen = []
    for outputs in [sure] * 8 + [unsure] * 12:
        augment.adapt(outputs)
        seen.append(augment.statistics()["augment/p"].item())
    assert seen[3::4] == pytest.approx([0.04, 0.08, 0.04, 0.0, 0.0])
    assert seen[:3] == [0, 0, 0]
    other = ADA()
    other.load_state_dict(augment.state_dict())
    assert other.p == augment.p


def test_a_fixed_p_does_not_move():
    augment = ada(4, p=0.3, target=None)
    augment.adapt({"logit/real": torch.ones(4)})
    assert augment.p.item() == pytest.approx(0.3)


def test_what_is_refused():
    ADA().check(NonSaturating(), (3, 8, 8))
    ADA(kinds=["geom", "color"]).check(NonSaturating(), (3, 8, 6))
    ADA(target=None).check(Wasserstein(), (3, 8, 8))
    for loss, shape, message in (
        (NonSaturating(), (2,), r"augment=ada changes images"),
        (NonSaturating(), (3, 8, 6), r"turns images by 90°, and these are 8×6\. Leave out blit\."),
        (Wasserstein(), (3, 8, 8), r"sign of D's logits, which says nothing in Wasserstein"),
        (Relativistic(), (3, 8, 8), r"says nothing in Relativistic"),
    ):
        with pytest.raises(UserError, match=message):
            ADA().check(loss, shape)
    with pytest.raises(UserError, match=r"augment\.kinds has blits, which is not known\. Did you mean blit\?"):
        ADA(kinds=["blits"])
    with pytest.raises(UserError, match=r"augment\.p=1\.5 is a probability"):
        ADA(p=1.5)
    with pytest.raises(UserError, match=r"augment\.target=60\.0 is of a mean of signs, between -1 and 1"):
        ADA(target=60.0)
