"""FID, and features of DINOv2: real loading code, weights made on the spot, where torch-fidelity is installed."""

import sys
from importlib import import_module
from importlib.util import find_spec
from unittest.mock import MagicMock

import pytest
import torch

from ganduel.data.mnist import MNIST
from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError
from ganduel.metric.features import EXTRACTORS, DINOv2, Extractor, Inception
from ganduel.metric.fid_inception import FIDInception
from ganduel.metric.functional import frechet_distance, kernel_distance, precision_recall


class Small(Extractor):
    """In Inception's place: three numbers an image."""

    def forward(self, x):
        return x.float().flatten(1)[:, :3]


@pytest.fixture
def small(monkeypatch):
    from ganduel.metric import features

    monkeypatch.setitem(EXTRACTORS, "inception", Small)
    features.extractor.cache_clear()
    yield
    features.extractor.cache_clear()


def test_key_split_and_value(small):
    metric = FIDInception()
    metric.fit_to(MNIST())
    real, fake = torch.randn(20, 3), torch.randn(30, 3)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    assert metric.compute() == {"fid/inception_10k": frechet_distance(real, fake)}  # MNIST's test set has no more
    assert metric.real_split(MNIST()) == "train"
    assert not FIDInception.automatic


def test_points_are_no_images():
    with pytest.raises(UserError, match=r"metric\.fid_inception does not fit Ring8: its samples are no images"):
        FIDInception().fit_to(Ring8())


@pytest.fixture
def fidelity(monkeypatch):
    """A function to import modules of torch-fidelity: those of metrics need no torchvision, the package itself does."""
    if find_spec("torch_fidelity") is None:
        pytest.skip("needs torch-fidelity")
    if find_spec("torchvision") is None:
        for name in ("", ".datasets", ".transforms", ".transforms.functional"):
            monkeypatch.setitem(sys.modules, f"torchvision{name}", MagicMock())
    imported = {name: module for name, module in sys.modules.items() if name.startswith("torch_fidelity")}
    for name in imported:
        monkeypatch.delitem(sys.modules, name)
    yield lambda name: import_module(f"torch_fidelity.{name}")
    for name in [name for name in sys.modules if name.startswith("torch_fidelity")]:
        del sys.modules[name]


@pytest.mark.slow
def test_values_are_those_of_torch_fidelity(fidelity):
    """On the same features; that package's first set is the generated one. It has no density and coverage."""
    draws = torch.Generator().manual_seed(0)
    real = torch.randn(300, 8, generator=draws).relu()
    fake = torch.randn(300, 8, generator=draws).mul(1.2).add(0.1).relu()
    fid, kid, prc = (fidelity(name) for name in ("metric_fid", "metric_kid", "metric_prc"))
    fd = fid.fid_statistics_to_metric(*map(fid.fid_features_to_statistics, (fake, real)), verbose=False)
    assert frechet_distance(real, fake).item() == pytest.approx(fd["frechet_inception_distance"], rel=1e-5)
    kd = kid.kid_features_to_metric(fake, real, kid_subsets=1, kid_subset_size=300, verbose=False)
    assert kernel_distance(real, fake).item() == pytest.approx(kd["kernel_inception_distance_mean"], abs=1e-5)
    both = prc.prc_features_to_metric(fake, real, verbose=False)
    precision, recall = precision_recall(real, fake)
    assert precision.item() == pytest.approx(both["precision"])
    assert recall.item() == pytest.approx(both["recall"])
    assert precision < recall  # exchanged, they would not be


@pytest.mark.slow
def test_inception_runs_with_weights_made_on_the_spot(tmp_path, monkeypatch):
    """The real network and loading code of torch-fidelity, random weights; grey images as three equal channels."""
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    torch.save(random_weights(fidelity), tmp_path / "weights.pth")
    monkeypatch.setenv("GANDUEL_INCEPTION", str(tmp_path / "weights.pth"))
    net = Inception().eval()
    x = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        found = net(x)
        torch.testing.assert_close(found, net(x.expand(-1, 3, -1, -1)))
    assert found.shape == (2, 2048)
    assert not torch.equal(found[0], found[1])
    assert len(net.version) == 64


@pytest.mark.slow
def test_dinov2_runs_with_a_network_made_on_the_spot(fidelity, monkeypatch):
    """What torch.hub would fetch gets what its authors normalise: ImageNet's mean to 0, in each channel."""
    seen = {}

    class Means(torch.nn.Module):
        def forward(self, x):
            seen["x"] = x
            return x.mean((2, 3))

    def load(repository, name):
        seen["name"] = (repository, name)
        return Means()

    def normalize(x, mean, std, inplace):
        return (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]

    monkeypatch.setattr(torch.hub, "load", load)
    module = fidelity("feature_extractor_dinov2")
    monkeypatch.setattr(module.torchvision.transforms.functional, "normalize", normalize)
    net = DINOv2()
    assert seen["name"] == ("facebookresearch/dinov2", "dinov2_vitl14")
    found = net(torch.full((2, 1, 28, 28), 127, dtype=torch.uint8))
    assert seen["x"].shape == (2, 3, 224, 224)
    expected = [(127 / 255 - mean) / std for mean, std in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]
    torch.testing.assert_close(found, torch.tensor([expected, expected]), atol=1e-5, rtol=0)


def random_weights(fidelity):
    """A state that the network loads: made by a network that is never given a file."""
    made = {}

    class Blank(fidelity.FeatureExtractorInceptionV3):
        def load_state_dict(self, state, *args, **kwargs):
            made.update(self.state_dict())  # as torch initialises them

    original = torch.load
    torch.load = lambda *args, **kwargs: {}
    try:
        Blank("inception-v3-compat", ["2048"], __file__)
    finally:
        torch.load = original
    return made
