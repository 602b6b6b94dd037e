"""Samples of a trained generator in Python: those of the command, by class, between two z, and truncated."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from sampled import IMAGE, POINT, edit, read, save

import ganduel
from ganduel.command.sample import sample
from ganduel.condition.generator import BatchNormGenerator, EmbeddingGenerator
from ganduel.errors import UserError
from ganduel.factory.part import build
from ganduel.model.base import Generator
from ganduel.trained.generator import BLOCK, TrainedGenerator


@pytest.mark.parametrize("shape", [IMAGE, POINT])
def test_samples_are_those_of_the_command(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = save(tmp_path / "a.ckpt", shape)
    for options in ({}, {"truncation": 0.5}):
        sample(path, tmp_path / "x.npz", n=103, seed=3, device="cpu", **options)
        samples = ganduel.load(str(path), device="cpu").sample(103, seed=3, **options)
        assert np.array_equal(samples.numpy(), read(tmp_path / "x.npz"))


def test_the_network_is_the_average_and_can_be_called(tmp_path: Path) -> None:
    """It had to be built by hand; its samples need no detach()."""
    path = edit(save(tmp_path / "a.ckpt"), ema__net__net__2__weight=0.0, ema__net__net__2__bias=0.5)
    trained = ganduel.load(path, device="cpu")
    assert not trained.generator.training
    values = trained.generator(torch.randn(2, 6)).numpy()
    np.testing.assert_allclose(values, np.tanh(0.5), rtol=1e-6)
    assert trained.config["model"]["generator"]["noise_dim"] == 6
    assert "Parameter" not in repr(trained)
    assert len(repr(trained)) < 200


def test_walks_begin_and_end_at_samples(tmp_path: Path) -> None:
    trained = ganduel.load(save(tmp_path / "a.ckpt", POINT), device="cpu")
    walks, samples = trained.interpolate(3, steps=4, seed=1), trained.sample(6, seed=1)
    assert walks.shape == (3, 4, 2)
    torch.testing.assert_close(walks[:, [0, -1]].flatten(0, 1), samples)
    with pytest.raises(UserError, match=r"1 steps are no walk: there must be at least 2\."):
        trained.interpolate(3, steps=1)


class Label(Generator):
    """A G whose sample is its class."""

    classes = 3

    def forward(self, z, y):
        return y[:, None].float()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (None, [0, 1, 2, 0]),
        (2, [2, 2, 2, 2]),
        ("1", [2, 2, 2, 2]),
        ("bee", [1, 1, 1, 1]),
        ([2, "ant"], [2, 0, 2, 0]),
        (torch.tensor([1, 1, 0, 2]), [1, 1, 0, 2]),
        (np.int64(1), [1, 1, 1, 1]),
    ],
)
def test_classes_by_number_or_name_in_turn(labels, expected) -> None:
    """A name comes before a number that is typed, and is no number that is given as one."""
    trained = TrainedGenerator(Label(2), {}, (1,), False, 0, "G", ("ant", "bee", "1"))
    assert trained.sample(4, labels=labels)[:, 0].tolist() == expected
    assert trained.interpolate(4, 2, labels=labels)[:, :, 0].tolist() == [[c, c] for c in expected]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (3, r"class 3: there are 3 classes, 0 to 2\. There are: "),
        ([0, "be"], r"class be: there are 3 classes, 0 to 2\. Did you mean bee"),
        ([], r"labels: there are none in the list"),
    ],
)
def test_classes_that_there_are_not(labels, message: str) -> None:
    trained = TrainedGenerator(Label(2), {}, (1,), False, 0, "G", ("ant", "bee", "cat"))
    with pytest.raises(UserError, match=message):
        trained.sample(4, labels=labels)


def test_numbers_that_cannot_be(tmp_path: Path) -> None:
    trained = ganduel.load(save(tmp_path / "a.ckpt"), device="cpu")
    with pytest.raises(UserError, match=r"n=0: there must be at least 1"):
        trained.sample(0)
    with pytest.raises(UserError, match=r"class 1: the generator was trained without labels"):
        trained.sample(1, labels=1)
    with pytest.raises(UserError, match=r"device cud: torch knows none of that name"):
        ganduel.load(tmp_path / "a.ckpt", device="cud")
    with pytest.raises(UserError, match=r"missing does not exist\. Give the folder of a run"):
        ganduel.load("missing")


def test_truncated_noise_leaves_out_the_tails(tmp_path: Path) -> None:
    """Of N(0, 1) between ±1 the standard deviation is √(1 − 2φ(1) / (2Φ(1) − 1)) = 0.5397."""
    trained = ganduel.load(save(tmp_path / "a.ckpt"), device="cpu").truncated(1.0)
    z = trained.noise(10 * BLOCK)
    assert z.abs().max() <= 1
    assert z.std().item() == pytest.approx(0.5397, abs=0.005)
    assert torch.equal(trained.noise(7), z[:7])


@pytest.mark.parametrize(
    ("knobs", "truncation", "message"),
    [
        ({"noise": "uniform"}, 1.0, r"truncation=1\.0: G's noise is uniform; only normal noise has tails"),
        ({}, 0.0, r"truncation=0\.0: the largest \|z\| must be positive"),
    ],
)
def test_noise_that_cannot_be_truncated(tmp_path: Path, knobs, truncation: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ganduel.load(save(tmp_path / "a.ckpt", **knobs), device="cpu").sample(1, truncation=truncation)


@pytest.mark.parametrize("classes", [None, 3])
def test_truncated_styles_are_between_their_mean_and_their_own(classes: int | None) -> None:
    node = {"_target_": "ganduel.model.stylegan2.StyleGAN2Generator", "noise_dim": 8, "mapping_layers": 2}
    net = build({**node, "base_width": 64, "max_width": 8}, shape=(1, 8, 8))
    generator = net if classes is None else EmbeddingGenerator(net, classes, 2)
    trained = TrainedGenerator(generator.eval().requires_grad_(False), {}, (1, 8, 8), False, 0, "G")
    assert torch.equal(trained.sample(9, truncation=1.0), trained.sample(9))
    assert len(trained.sample(9, truncation=0.0).unique(dim=0)) == 1
    own, half = (t.generator if classes is None else t.generator.net for t in (trained, trained.truncated(0.5)))
    z = torch.randn(5, 8)
    w, truncated = own.styles(z)[0], half.styles(z)[0]
    torch.testing.assert_close(truncated - half.mean_style, (w - half.mean_style) / 2)
    z = generator.draw(10_000, torch.Generator().manual_seed(1))
    z = z if classes is None else generator.embedded(z, torch.arange(10_000) % classes)
    torch.testing.assert_close(half.mean_style, own.mapping(z).mean(0), rtol=0, atol=0.02)
    with pytest.raises(UserError, match=r"truncation=2\.0: StyleGAN2's ψ is from 0, the mean style, to 1\. Try 0\.7\."):
        trained.sample(1, truncation=2.0)


def test_threads_may_share_it(tmp_path: Path) -> None:
    """A G that keeps the labels of the batch that is passing would give one thread the classes of another."""
    node = {"_target_": "ganduel.model.mlp.MLPGenerator", "noise_dim": 6, "hidden": [64], "norm": "batch"}
    generator = BatchNormGenerator(build(node, shape=POINT), 2).eval().requires_grad_(False)
    torch.nn.init.normal_(generator.get_parameter("net.net.1.scale.weight"))
    trained = TrainedGenerator(generator, {}, POINT, False, 0, "G")
    expected = [trained.sample(500, labels=label) for label in (0, 1)]
    found: dict[int, list[torch.Tensor]] = {0: [], 1: []}

    def work(label: int) -> None:
        found[label] += [trained.sample(500, labels=label) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(label,)) for label in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torch.equal(*expected)
    assert all(torch.equal(samples, expected[label]) for label in found for samples in found[label])
    assert [len(found[label]) for label in found] == [5, 5]
