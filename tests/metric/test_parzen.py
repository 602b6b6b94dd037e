"""The protocol of the class: σ from the first 1,000 validation images, the mean over the test images, its error."""

import math

import pytest
import torch

from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError
from ganduel.metric.functional import choose_sigma, parzen_log_likelihood
from ganduel.metric.functional.parzen import SIGMAS
from ganduel.metric.parzen import Parzen


@pytest.fixture(scope="module")
def digits():
    from ganduel.data.mnist import MNIST

    return MNIST()


def test_value_is_that_of_the_protocol(digits):
    metric = Parzen(samples=200)
    metric.fit_to(digits)
    real = digits.reference("test", 200).flatten(1) / 255
    fake = digits.reference("train", 200).flatten(1) / 255
    metric.update(real, real=True)
    metric.update(fake, real=False)
    found = {key: value.item() for key, value in metric.compute().items()}

    validation = digits.images("validation")[:1000].flatten(1) / 255
    sigma = choose_sigma(fake, validation, SIGMAS)
    expected = parzen_log_likelihood(fake, real, sigma)
    assert found == pytest.approx(
        {
            "parzen/pixels_200": expected.mean().item(),
            "parzen_se/pixels_200": expected.std().item() / math.sqrt(200),
            "parzen_sigma/pixels_200": sigma,
        }
    )
    assert sigma in SIGMAS


def test_points_have_no_validation_images():
    with pytest.raises(UserError, match=r"metric\.parzen does not fit Ring8: it has no validation images"):
        Parzen().fit_to(Ring8())
    assert not Parzen.automatic


def test_sigma_is_chosen_on_the_first_thousand_validation_images(digits, monkeypatch):
    """Of the last 10,000 training images, and of no others."""
    seen = []

    def choose(samples, points, sigmas):
        seen.append(points)
        return 0.2

    monkeypatch.setattr("ganduel.metric.parzen.choose_sigma", choose)
    metric = Parzen(samples=50)
    metric.fit_to(digits)
    metric.update(torch.rand(5, 784), real=True)
    metric.update(torch.rand(5, 784), real=False)
    metric.compute()
    torch.testing.assert_close(seen[0], digits.images("validation")[:1000].flatten(1) / 255)


def test_sigma_is_not_chosen_on_the_test_images(digits):
    """Other real samples leave it as it is."""
    fake = digits.reference("train", 100).flatten(1) / 255
    sigmas = []
    for real in (torch.rand(50, 784), torch.zeros(50, 784)):
        metric = Parzen(samples=100)
        metric.fit_to(digits)
        metric.update(real, real=True)
        metric.update(fake, real=False)
        sigmas.append(metric.compute()["parzen_sigma/pixels_100"].item())
    assert sigmas[0] == sigmas[1]
