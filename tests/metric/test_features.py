"""What metrics see: shipped weights as their records state them, shapes, and what does not fit."""

import json
import sys

import pytest
import torch

from ganduel.data.base import normalise
from ganduel.data.mnist import MNIST
from ganduel.errors import UserError
from ganduel.metric import features
from ganduel.metric.features import ASSETS, EXTRACTORS, DINOv2, Inception, checksum, extractor, load_classifier

CPU = torch.device("cpu")
SHIPPED = sorted(path.stem for path in ASSETS.glob("*.safetensors"))


@pytest.fixture(scope="module")
def digits():
    return MNIST()


def test_points_and_pixels():
    points = torch.tensor([[1.0, 2.0]])
    assert torch.equal(extractor("points", CPU)(points), points)
    image = torch.tensor([[[[0, 51], [255, 102]]]], dtype=torch.uint8)
    expected = torch.tensor([[0, 0.2, 1, 0.4]])
    torch.testing.assert_close(extractor("pixels", CPU)(image), expected)
    torch.testing.assert_close(extractor("pixels", CPU)(normalise(image)), expected)


def test_both_classifiers_are_shipped_and_small():
    assert SHIPPED == ["fashion_cnn", "mnist_cnn"]
    assert all((ASSETS / f"{name}.safetensors").stat().st_size < 1_000_000 for name in SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_record_states_the_file(name):
    record = json.loads((ASSETS / f"{name}.json").read_text(encoding="utf-8"))
    net, found = load_classifier(name)
    assert record["sha256"] == found == checksum((ASSETS / f"{name}.safetensors").read_bytes())
    assert record["parameters"] == sum(p.numel() for p in net.parameters())
    assert record["accuracy"]["test"] > (0.99 if name == "mnist_cnn" else 0.9)


def test_classifier_is_as_good_as_its_record_says(digits):
    """On the whole test set, to within an image or two of rounding."""
    net, _ = load_classifier("mnist_cnn")
    with torch.no_grad():
        found = torch.cat([net(part).argmax(1) for part in digits.images("test").split(1000)])
    share = (found == digits.labels("test")).double().mean().item()
    stated = json.loads((ASSETS / "mnist_cnn.json").read_text(encoding="utf-8"))["accuracy"]["test"]
    assert share == pytest.approx(stated, abs=3e-4)


def test_features_of_stacks_are_those_of_the_channels(digits):
    """In the order red, green, blue; classes are 100 r + 10 g + b."""
    images = digits.images("test")[:6]
    stacks = images.view(2, 3, 28, 28)
    one, three = extractor("mnist_cnn", CPU), extractor("mnist_cnn_rgb", CPU)
    with torch.no_grad():
        torch.testing.assert_close(three(stacks), one(images).view(2, 384))
        digit = one.classes(one(images)).view(2, 3)
        assert torch.equal(three.classes(three(stacks)), digit @ torch.tensor([100, 10, 1]))
    assert torch.equal(digit.flatten(), digits.labels("test")[:6])


def test_extractors_are_frozen_and_made_once():
    net = extractor("mnist_cnn", CPU)
    assert net is extractor("mnist_cnn", CPU)
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())


def test_making_one_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    EXTRACTORS["mnist_cnn"]()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("points", (2,), (1, 28, 28)),
        ("pixels", (3, 5, 5), (2,)),
        ("mnist_cnn", (1, 28, 28), (1, 32, 32)),
        ("mnist_cnn_rgb", (3, 28, 28), (1, 28, 28)),
    ],
)
def test_what_each_fits(name, good, bad):
    assert extractor(name, CPU).fits(good)
    assert not extractor(name, CPU).fits(bad)


def test_damaged_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "ASSETS", tmp_path)
    (tmp_path / "mnist_cnn.json").write_bytes((ASSETS / "mnist_cnn.json").read_bytes())
    (tmp_path / "mnist_cnn.safetensors").write_bytes((ASSETS / "mnist_cnn.safetensors").read_bytes()[:-1])
    with pytest.raises(UserError, match=r"mnist_cnn\.safetensors is damaged: its SHA-256 is"):
        load_classifier("mnist_cnn")


def test_unknown_features():
    with pytest.raises(UserError, match=r"there are no features mnist_cn\. Did you mean mnist_cnn"):
        extractor("mnist_cn", CPU)


def test_inception_without_torch_fidelity_says_how_to_get_it(monkeypatch):
    monkeypatch.delenv("GANDUEL_INCEPTION", raising=False)
    monkeypatch.setattr("torchmetrics.image.fid._TORCH_FIDELITY_AVAILABLE", False)
    with pytest.raises(
        UserError, match=r"Inception's features need torch-fidelity: pip install 'ganduel\[inception\]'"
    ):
        Inception()


def test_dinov2_without_torch_fidelity_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_dinov2", None)
    with pytest.raises(UserError, match=r"need torch-fidelity and torchvision .*: pip install 'ganduel\[dinov2\]'"):
        DINOv2()


def test_inception_names_a_missing_file(monkeypatch):
    monkeypatch.setenv("GANDUEL_INCEPTION", "nowhere.pth")
    with pytest.raises(UserError, match=r"GANDUEL_INCEPTION=nowhere\.pth is no file"):
        Inception()
