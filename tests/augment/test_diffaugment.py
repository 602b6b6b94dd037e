"""DiffAugment: what each policy does to planted images, that images are changed apart, and that gradients pass."""

import pytest
import torch

from ganduel.augment.diffaugment import DiffAugment
from ganduel.errors import UserError
from ganduel.loss.hinge import Hinge
from ganduel.rng import Draws


def augmented(x, *policy, seed=0):
    augment = DiffAugment(policy)
    augment.draws = Draws("cpu", len(x))
    augment.draws.seed("test", seed)
    return augment(x)


def test_an_empty_policy_is_the_identity_bit_for_bit():
    x = torch.randn(3, 3, 8, 8)
    assert torch.equal(augmented(x), x)


def test_colour_of_a_grey_image_moves_by_at_most_a_half():
    """An even grey stays an even grey: its brightness alone changes, by U(−½, ½)."""
    moved = augmented(torch.zeros(2000, 3, 2, 2), "color")
    assert (moved == moved[:, :1, :1, :1]).all()
    values = moved[:, 0, 0, 0]
    assert (values.min().item(), values.max().item()) == (pytest.approx(-0.5, abs=0.01), pytest.approx(0.5, abs=0.01))
    assert values.mean().item() == pytest.approx(0, abs=0.03)


def test_saturation_and_contrast_scale_distances():
    """Colours move from grey by a factor in [0, 2] and from the image's mean by one in [½, 3/2]."""
    x = torch.zeros(2000, 3, 1, 2)
    x[:, 0], x[:, 1] = 0.5, -0.5
    moved = augmented(x, "color")
    spread = (moved[:, 0] - moved[:, 1])[:, 0, 0]
    assert 0 <= spread.min() < 0.02
    assert 2.5 < spread.max() <= 3
    x = torch.zeros(2000, 1, 1, 2)
    x[..., 1] = 1
    contrast = augmented(x, "color").diff(dim=3).flatten()
    assert (contrast.min().item(), contrast.max().item()) == (
        pytest.approx(0.5, abs=0.01),
        pytest.approx(1.5, abs=0.01),
    )


def test_translation_by_up_to_an_eighth():
    """One bright pixel in the middle of 16 × 16: all 25 places within 2 pixels, each about as often."""
    x = torch.zeros(5000, 1, 16, 16)
    x[:, 0, 8, 8] = 1
    places = augmented(x, "translation").sum(0)[0]
    assert places.sum() == 5000
    inner = places[6:11, 6:11]
    assert inner.sum() == 5000
    assert (inner.min() > 140, inner.max() < 260) == (True, True)


def test_cutout_is_half_of_each_side_where_it_fits():
    holes = (augmented(torch.ones(500, 2, 8, 8), "cutout") == 0).flatten(1).sum(1)
    assert holes.max() == 2 * 4 * 4
    assert holes.min() == 2 * 2 * 2  # at a corner


@pytest.mark.parametrize("size", [8, 10], ids=["even hole", "odd hole"])
def test_cutout_has_no_preferred_side(size):
    """As far beyond one end of the image as beyond the other: a row is as often in a hole as its mirror image is."""
    kept = augmented(torch.ones(20_000, 1, size, size), "cutout").mean((0, 1))
    for rows in (kept.mean(0), kept.mean(1)):
        torch.testing.assert_close(rows, rows.flip(0), atol=0.01, rtol=0)


def test_images_are_changed_apart_and_anew():
    x = torch.randn(1, 3, 8, 8).expand(6, 3, 8, 8)
    first, again, other = (augmented(x, "color", "translation", "cutout", seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({row.sum().item() for row in first}) == 6


def test_gradients_reach_what_was_generated():
    x = torch.randn(4, 3, 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(augmented(x, "color", "translation", "cutout").square().sum(), x)
    assert slope.isfinite().all()
    assert slope.abs().sum() > 0


def test_what_is_refused():
    with pytest.raises(UserError, match=r"augment\.policy has colour, which is not known\. Did you mean color\?"):
        DiffAugment(["colour"])
    with pytest.raises(
        UserError, match=r"augment=diffaugment changes images, and the data's samples are of shape \(2,\)"
    ):
        DiffAugment().check(Hinge(), (2,))
