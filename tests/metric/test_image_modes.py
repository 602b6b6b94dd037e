"""Modes of rendered images, counted where they are of high quality."""

import math

import pytest
import torch

from ganduel.data.polygons import Polygons
from ganduel.data.ring8 import Ring8
from ganduel.data.sprites import Sprites
from ganduel.errors import UserError
from ganduel.metric.evaluation import Evaluation
from ganduel.metric.features import extractor
from ganduel.metric.image_modes import ImageModes
from ganduel.metric.registry import applicable


def measured(images: torch.Tensor) -> dict[str, float]:
    metric = ImageModes()
    metric.fit_to(Sprites())
    metric.update(extractor("pixels", torch.device("cpu"))(images), real=False)
    return {key.partition("/")[0]: value.item() for key, value in metric.compute().items()}


def test_two_modes_and_samples_of_none():
    """Of 30 modes two, as often: KL to the uniform is log 15; one of five images is black."""
    data = Sprites()
    images, modes = data.reference("test", 500), data.factors("test", 500).mode
    two = [images[modes == mode][:6] for mode in (4, 21)]
    values = measured(torch.cat([*two, torch.zeros(3, 3, 32, 32, dtype=torch.uint8)]))
    assert values == pytest.approx({"modes": 2, "high_quality": 12 / 15, "reverse_kl": math.log(15)})


def test_without_a_sprite_there_are_no_shares():
    values = measured(torch.zeros(4, 3, 32, 32, dtype=torch.uint8))
    assert (values["modes"], values["high_quality"]) == (0, 0)
    assert math.isnan(values["reverse_kl"])


def test_the_floor_is_that_of_real_sprites():
    """All 30 modes, all good, a reverse KL of 29/(2 n) by chance: it is between its 1% and its 99% quantile."""
    floors = Evaluation(Sprites(), [ImageModes(samples=1000)]).prepare().floors
    assert floors["modes/pixels_1k"] == 30
    assert floors["high_quality/pixels_1k"] == 1
    assert 14 / 2000 < floors["reverse_kl/pixels_1k"] < 50 / 2000  # of χ² with 29 degrees of freedom, over 2n


def test_of_triangles_it_is_the_precision():
    """Half of the images are hexagons."""
    metric = ImageModes(samples=40)
    metric.fit_to(Polygons(n=100))
    images = torch.cat([Polygons(n=20).samples, Polygons(n=20, corners=6).samples])
    metric.update(extractor("pixels", torch.device("cpu"))(images), real=False)
    values = {key.partition("/")[0]: value.item() for key, value in metric.compute().items()}
    assert values == {"modes": 1, "high_quality": 0.5, "reverse_kl": 0}


def test_it_is_what_sprites_are_measured_by():
    assert [type(metric) for metric in applicable(Sprites())] == [ImageModes]
    with pytest.raises(UserError, match=r"metric\.image_modes does not fit Ring8: it does not say which mode an image"):
        ImageModes().fit_to(Ring8())
