"""Modes found, share of high quality and evenness: by hand, at the corners, and for samples of the mixture itself."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganduel.errors import UserError
from ganduel.metric.functional import modes
from ganduel.metric.functional.modes import class_coverage, mode_coverage

CENTRES = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def reference(samples: np.ndarray, centres: np.ndarray, sigma: float, within: float) -> tuple[int, float, list, float]:
    """The definitions in a loop over samples."""
    counts = [0] * len(centres)
    for sample in samples:
        far = [math.dist(sample, centre) for centre in centres]
        counts[far.index(min(far))] += min(far) <= within * sigma
    shares = [count / sum(counts) for count in counts] if any(counts) else [math.nan]
    kl = sum(share * math.log(share * len(centres)) for share in shares if share != 0)
    return sum(count > 0 for count in counts), sum(counts) / len(samples), counts, kl


def test_by_hand():
    """Three at one centre, one at another on the rim of 3 σ, one beyond it, one in the middle of nowhere."""
    samples = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, -1.0], [10.0, 1.5], [0.0, 8.25], [5.0, 5.0]])
    found = mode_coverage(samples, CENTRES, 0.5)
    assert found.modes == 2
    assert found.high_quality == 4 / 6
    assert found.counts.tolist() == [3, 1, 0, 0]
    assert found.reverse_kl.item() == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))


def test_width_counts_in_sigmas():
    samples = CENTRES + torch.tensor([1.0, 0.0])
    assert [mode_coverage(samples, CENTRES, 0.5, within).modes.item() for within in (1.9, 2.0)] == [0, 4]


def test_even_counts_are_at_zero_and_one_mode_is_at_log_m():
    assert mode_coverage(CENTRES.repeat(5, 1), CENTRES, 0.1).reverse_kl.item() == pytest.approx(0, abs=1e-12)
    assert mode_coverage(CENTRES[2:3].repeat(5, 1), CENTRES, 0.1).reverse_kl.item() == pytest.approx(math.log(4))


def test_without_a_high_quality_sample_there_are_no_shares():
    """NaN, not log m, which all samples in one mode have, and not 0, which looks perfect."""
    found = mode_coverage(torch.full((6, 2), 100.0), CENTRES, 0.1)
    assert (found.modes, found.high_quality, found.counts.tolist()) == (0, 0, [0, 0, 0, 0])
    assert found.reverse_kl.isnan()


def test_samples_of_the_mixture():
    """In two dimensions 1 − exp(−9/2) of them lie within 3 σ, and the reverse KL is about (m − 1) / (2 n)."""
    rng = torch.Generator().manual_seed(0)
    samples = CENTRES[torch.randint(4, (20_000,), generator=rng)] + 0.2 * torch.randn(20_000, 2, generator=rng)
    found = mode_coverage(samples, CENTRES, 0.2)
    assert found.modes == 4
    assert found.high_quality.item() == pytest.approx(1 - math.exp(-4.5), abs=3e-3)
    assert found.counts.sum() == round(found.high_quality.item() * 20_000)
    assert 0 <= found.reverse_kl < 6 * 3 / 40_000


def test_samples_and_centres_are_not_alike():
    """Swapped, four samples would be found at two centres."""
    found = mode_coverage(CENTRES[:2], CENTRES, 0.1)
    assert (found.modes, len(found.counts)) == (2, 4)
    swapped = mode_coverage(CENTRES, CENTRES[:2], 0.1)
    assert (swapped.high_quality, len(swapped.counts)) == (0.5, 2)


@given(n=st.integers(1, 30), m=st.integers(1, 6), d=st.integers(1, 3), seed=st.integers(0, 999))
def test_agrees_with_the_definitions_in_any_order(n: int, m: int, d: int, seed: int):
    rng = torch.Generator().manual_seed(seed)
    samples, centres = torch.randn(n, d, generator=rng), torch.randn(m, d, generator=rng)
    expected = reference(samples.double().numpy(), centres.double().numpy(), 0.2, 3.0)
    found = mode_coverage(samples.flip(0), centres, 0.2)
    assert found.counts.tolist() == expected[2]
    got = [found.modes.item(), found.high_quality.item(), found.reverse_kl.item()]
    assert got == pytest.approx([expected[0], expected[1], expected[3]], abs=1e-12, nan_ok=True)


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch):
    samples = 12 * torch.rand(50, 2, generator=torch.Generator().manual_seed(1))
    whole = mode_coverage(samples, CENTRES, 0.5)
    assert 0 < whole.high_quality < 1
    monkeypatch.setattr(modes, "BLOCK", 7)
    assert mode_coverage(samples, CENTRES, 0.5).counts.tolist() == whole.counts.tolist()


def test_classes_by_hand():
    found = class_coverage(torch.tensor([7, 7, 7, 2]), 8)
    assert found.modes == 2
    assert found.reverse_kl.item() == pytest.approx(0.75 * math.log(6) + 0.25 * math.log(2))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_all_classes_once_and_one_class_only(dtype: torch.dtype):
    assert class_coverage(torch.arange(100, dtype=dtype), 100).modes == 100
    assert class_coverage(torch.arange(100, dtype=dtype), 100).reverse_kl.item() == pytest.approx(0, abs=1e-12)
    assert class_coverage(torch.full((9,), 3, dtype=dtype), 100).reverse_kl.item() == pytest.approx(math.log(100))


def test_a_perfect_generator_of_stacked_digits():
    """26,000 samples of 1,000 classes: all found, the reverse KL near 999 / 52,000 by chance."""
    labels = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(2))
    assert class_coverage(labels, 1000).modes == 1000
    assert class_coverage(labels, 1000).reverse_kl.item() == pytest.approx(999 / 52_000, rel=0.15)


def test_what_cannot_be_counted():
    for labels in ([-1, 2], [0, 8]):
        with pytest.raises(UserError, match=f"Labels run from {labels[0]} to {labels[1]}, but classes=8 has 0 to 7"):
            class_coverage(torch.tensor(labels), 8)
    with pytest.raises(UserError, match="There are no labels"):
        class_coverage(torch.tensor([], dtype=torch.int64), 8)
    for sigma in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(UserError, match="is no standard deviation"):
            mode_coverage(CENTRES, CENTRES, sigma)
