"""What samples may be: finite, and images of bytes or in [−1, 1]."""

import math

import pytest
import torch

from ganduel.data.base import Data, TensorData
from ganduel.data.check import is_image, non_finite, range_advice
from ganduel.errors import UserError

GREY = torch.arange(256).reshape(4, 1, 8, 8)  # each value of a byte once


def minibatch_of(samples, shape=(1, 8, 8)):
    """Data whose every minibatch is these samples."""

    class Stream(Data):
        def minibatch(self, seed, position, batch_size, rows=slice(None)):
            return samples[rows], None

    stream = Stream()
    stream.shape = shape
    return stream


@pytest.mark.parametrize(
    ("shape", "image"), [((1, 28, 28), True), ((3, 8, 9), True), ((2, 8, 8), False), ((28, 28), False), ((2,), False)]
)
def test_images_have_one_or_three_channels(shape, image):
    assert is_image(shape) == image


@pytest.mark.parametrize(("channels", "image"), [(1, True), (2, True), (3, True), (4, True), (5, False)])
def test_images_with_alpha_are_bytes(channels, image):
    """Floats of two or four channels may be anything, such as the latents of an autoencoder."""
    assert TensorData(torch.zeros(2, channels, 3, 3, dtype=torch.uint8)).is_image == image
    assert TensorData(torch.zeros(2, channels, 3, 3)).is_image == (channels in (1, 3))


@pytest.mark.parametrize(("value", "kind"), [(math.nan, "NaN"), (math.inf, "infinity"), (-math.inf, "infinity")])
def test_what_is_not_finite_is_counted(value, kind):
    """By samples, not by values; also beyond the rows that are looked at together."""
    x = torch.zeros(3000, 2)
    assert non_finite(x) is None
    x[1500], x[2999, 1] = value, value
    words = f"{kind} in 2 of 3,000 samples \\(the first has index 1500\\)"
    with pytest.raises(UserError, match=f"TensorData has {words}"):
        TensorData(x)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int16, torch.int32])
def test_images_of_integers_are_bytes(dtype):
    data = TensorData(GREY.to(dtype))
    assert torch.equal(data.samples, GREY.to(torch.uint8))
    assert data.samples.dtype == torch.uint8


@pytest.mark.parametrize("images", [GREY + 1, GREY - 1, 257 * GREY])
def test_integers_that_are_no_bytes_are_refused(images):
    low, high = images.min(), images.max()
    with pytest.raises(UserError, match=rf"images of torch.int64 from {low} to {high}\. Give bytes from 0 to 255, or"):
        TensorData(images)


def test_points_of_integers_keep_their_values():
    x = torch.tensor([[700, -3], [0, 1]])
    assert TensorData(x).minibatch(0, 0, 2)[0].sort(0).values.tolist() == [[0, -3], [700, 1]]


@pytest.mark.parametrize(
    ("low", "high", "advice"),
    [
        (-1, 1, None),
        (-1.0005, 1.0005, None),
        (-0.2, 0.1, None),
        (0, 1, "If 0 is black and 1 white, give 2 * x - 1."),
        (0.1, 0.9, "If 0 is black and 1 white, give 2 * x - 1."),
        (0, 255, "If 0 is black and 255 white, give x / 127.5 - 1."),
        (-2.1, 2.6, "What is outside is cut off in pictures and metrics: scale them."),
        (0, 4096, "What is outside is cut off in pictures and metrics: scale them."),
    ],
)
def test_advice_for_each_range(low, high, advice):
    assert range_advice(float(low), float(high)) == advice


def warnings_of(caplog, samples):
    caplog.clear()
    TensorData(samples)
    return [record.getMessage() for record in caplog.records]


def test_images_of_another_range_are_warned_of_once(caplog):
    x = GREY / 255
    (line,) = warnings_of(caplog, 255 * x)
    assert line == (
        "TensorData has images of floats from 0 to 255, which are taken to be in [−1, 1]. "
        "If 0 is black and 255 white, give x / 127.5 - 1."
    )
    assert len(warnings_of(caplog, x)) == 1
    assert warnings_of(caplog, 2 * x - 1) == []
    assert warnings_of(caplog, GREY.to(torch.uint8)) == []
    for points in (255 * x.flatten(1), 255 * x.flatten(0, 1)):  # which may have any value
        assert warnings_of(caplog, points) == []


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_bits_are_no_bytes(caplog, dtype):
    """Of 255 values a pair that networks cannot tell apart."""
    (line,) = warnings_of(caplog, (GREY > 127).to(dtype))
    assert line == "TensorData has bytes that are 0 and 1 alone, next to black. Multiply them by 255."
    assert warnings_of(caplog, torch.zeros_like(GREY).to(torch.uint8)) == []


def test_one_rank_warns_for_all(caplog, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert warnings_of(caplog, GREY / 255) == []


def test_there_is_a_sample():
    with pytest.raises(UserError, match=r"TensorData has no samples: they are of shape \(0, 2\)"):
        TensorData(torch.zeros(0, 2))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (GREY.to(torch.uint8), r"Stream.minibatch\(\) gives torch.uint8: give floats, by ganduel.data.base.normalise"),
        (GREY[0] / 255, r"Stream.minibatch\(\) gives samples of shape \(8, 8\), not \(1, 8, 8\)"),
        (GREY / 0, r"the first minibatch of Stream has NaN in 4 of 4 samples \(the first has index 0\)"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_data_that_are_drawn_show_a_minibatch(samples, message):
    with pytest.raises(UserError, match=message):
        minibatch_of(samples).check(seed=0, batch_size=4)


def test_a_minibatch_of_another_range_is_warned_of(caplog):
    minibatch_of(GREY / 255).check(seed=0, batch_size=4)
    assert "the first minibatch of Stream has images of floats from 0 to 1" in caplog.text
