"""The seed determines the run, whatever parts of one's own draw from."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from ganduel.data.base import TensorData
from ganduel.factory.data import build_data
from ganduel.factory.gan import build_gan
from ganduel.model.base import Discriminator
from ganduel.penalty.base import Penalty
from ganduel.run.run import quiet


class Custom(Discriminator):
    """A D as users write it: torch's own dropout, and layers that find out their shapes by themselves."""

    def __init__(self, shape):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.LeakyReLU(0.2), nn.Dropout(0.5), nn.LazyLinear(1))

    def forward(self, x):
        return self.net(x).squeeze(1)


class OnNoisySamples(Penalty):
    """Draws a direction when it is built, and noise in each update, both from torch's global generator."""

    def __init__(self):
        super().__init__()
        self.direction = torch.randn(())

    def forward(self, net, b, fake):
        return net(fake + self.direction * torch.randn_like(fake), b.fake_labels).square().mean()


class Drawn(TensorData):
    """Samples that the constructor draws, one way or another."""

    def __init__(self):
        numbers = torch.tensor(np.random.randn(4, 2)) + random.random()  # noqa: NPY002
        super().__init__(numbers + torch.randn(4, 2))


@pytest.fixture
def config(tiny, monkeypatch):
    """Of a GAN with such parts."""
    for part in (Custom, OnNoisySamples, Drawn):
        monkeypatch.setattr(nn, part.__name__, part, raising=False)
    config = tiny()
    config["model"]["discriminator"] = {"_target_": "torch.nn.Custom"}
    config["penalty"] = {"noisy": {"_target_": "torch.nn.OnNoisySamples"}}
    return config


def trained(config, images, iterations, ambient, folder=None, ckpt_path=None):
    """The state of a GAN after these iterations, begun with the global generators in another state each time."""
    torch.manual_seed(ambient)
    quiet()
    gan = build_gan(config, images)
    trainer = Trainer(
        accelerator="cpu", max_steps=iterations, max_epochs=-1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(gan, ckpt_path=ckpt_path, weights_only=True)
    if folder is not None:
        trainer.save_checkpoint(folder / "last.ckpt")
    return torch.cat([p.detach().flatten() for p in gan.parameters()])


def test_equal_commands_give_equal_runs_and_a_resumed_one_draws_the_same(config, images, tmp_path: Path):
    """With nn.Dropout, a lazy layer or torch.randn_like in a penalty, two runs of one seed ended with other weights."""
    whole = trained(config, images, 4, ambient=1)
    assert torch.equal(trained(config, images, 4, ambient=2), whole)
    trained(config, images, 2, ambient=3, folder=tmp_path)
    assert torch.equal(trained(config, images, 4, ambient=4, ckpt_path=tmp_path / "last.ckpt"), whole)
    assert not torch.equal(trained({**config, "seed": 1}, images, 4, ambient=1), whole)


def test_data_that_are_drawn_when_they_are_built_are_those_of_all_seeds(config):
    """Otherwise a resume, `ganduel evaluate` and the runs of a comparison would each have data of their own."""
    config["data"] = {"_target_": "torch.nn.Drawn"}
    first, second = build_data(config).samples, build_data({**config, "seed": 1}).samples
    assert torch.equal(first, second)


def test_ranks_draw_apart_from_torchs_global_generators(config, images):
    """The same mask for each rank's rows would be a smaller draw than that of one process."""
    gan, draws = build_gan(config, images), []
    for rank in (0, 1, 1):
        gan.batches.to(torch.device("cpu"), rank, 2)
        with gan.batches.seeded(3):
            draws.append(torch.rand(()).item())
    assert draws[0] != draws[1] == draws[2]
