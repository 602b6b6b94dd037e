"""What was exported is compared on batches of two sizes, and refused where it differs."""

import pytest
import torch
from sampled import save

import ganduel
from ganduel.errors import UserError
from ganduel.export.check import SIZES, check


def test_the_largest_difference_is_said(tmp_path):
    source, sizes = ganduel.load(save(tmp_path / "a.ckpt"), device="cpu"), []

    def other(noise):
        sizes.append(len(noise))
        samples = source.generator(noise)
        samples[-1, 0, 0, 0] += 5e-6
        return samples

    assert check(source, other, "it") == "samples of what was written differ by at most 5e-06"
    assert tuple(sizes) == SIZES


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: x + 2e-5, r"it gives samples that differ by up to 2e-05, more than 1e-05\."),
        (lambda x: x * torch.nan, r"it gives samples that differ by up to nan"),
        (lambda x: x[:2], r"it gives samples of shape \(2, 1, 5, 4\), not \(5, 1, 5, 4\)\."),
    ],
)
def test_what_differs_is_refused(tmp_path, wrong, message):
    source = ganduel.load(save(tmp_path / "a.ckpt"), device="cpu")
    with pytest.raises(UserError, match=message):
        check(source, lambda noise: wrong(source.generator(noise)), "it")
