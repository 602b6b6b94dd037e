"""Faults of real samples, each planted in a few."""

import pytest
import torch

from ganduel.data.base import TensorData
from ganduel.data.ring8 import Ring8
from ganduel.doctor.samples import LOOKED_AT, holes, image_range, looked_at

BYTES = torch.randint(256, (200, 1, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def names(findings):
    return [(finding.name, finding.evidence) for finding in findings]


def test_sound_samples():
    assert holes(BYTES, image=True) == image_range(BYTES) == []
    assert holes(torch.randn(100, 2), image=False) == []


def test_all_samples_are_looked_at_up_to_a_number():
    assert len(looked_at(TensorData(BYTES))) == 200
    assert len(looked_at(Ring8())) == LOOKED_AT


def test_repeated_and_blank_images():
    samples = BYTES.clone()
    samples[100:105] = samples[:5]
    samples[150:153] = 7
    assert names(holes(samples, image=True)) == [
        ("samples repeat", "13 of 200 training samples are equal to another"),
        ("blank images", "3 of 200 training images are of one value"),
    ]


def test_a_few_are_no_fault():
    samples = BYTES.clone()
    samples[100] = samples[0]
    samples[150:152] = torch.tensor([7, 8], dtype=torch.uint8).view(2, 1, 1, 1)
    assert holes(samples, image=True) == []


def test_constant_coordinates():
    points = torch.randn(50, 3)
    points[:, 1:] = 2.5
    evidence = "coordinate 1 is 2.5 in all 50 training samples, and 1 more are constant"
    assert names(holes(points, image=False)) == [("constant coordinates", evidence)]


@pytest.mark.parametrize(
    ("samples", "evidence", "advice"),
    [
        (BYTES / 255, "floats from 0 to 1, taken to be in [−1, 1]", "2 * x - 1"),
        (BYTES.float(), "floats from 0 to 255, taken to be in [−1, 1]", "x / 127.5 - 1"),
        (BYTES % 2, "bytes from 0 to 1, next to black", "Multiply them by 255"),
    ],
)
def test_images_of_another_range(samples, evidence, advice):
    (finding,) = image_range(samples)
    assert finding.evidence == evidence
    assert advice in finding.advice
