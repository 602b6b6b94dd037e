"""The recipes for a GPU: they are the papers' settings, and a few iterations of narrower networks run."""

import pytest
import torch
from cifar_files import made_up, write_binary
from PIL import Image
from small import mostly_slow

from ganduel.factory.networks import build_networks

CIFAR = ("cifar10_sndcgan", "cifar10_r3gan")
NARROW = {
    "cifar10_sndcgan": ["model.generator.width=4", "model.discriminator.width=4"],
    "cifar10_r3gan": [f"model.{net}.{key}" for net in ("generator", "discriminator")
                      for key in ("base_width=512", "max_width=16")],
    "images64_stylegan2": ["model.generator.noise_dim=8", "penalty.r1.every=1", "penalty_g.path_length.every=1",
                           *(f"model.{net}.base_width=512" for net in ("generator", "discriminator"))],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Made-up data for each of them."""

    def make(experiment):
        if experiment in CIFAR:
            return write_binary(tmp_path / "cifar-10-batches-bin", made_up())
        for i in range(12):
            pixels = torch.randint(256, (70, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(i))
            Image.fromarray(pixels.numpy()).save(tmp_path / f"{i}.png")
        return tmp_path

    return make


@pytest.mark.parametrize("experiment", mostly_slow({name: name for name in NARROW}, "cifar10_sndcgan"))
def test_a_few_iterations(command, folder, experiment):
    words = ["tracking=none", "trainer.max_steps=3", "trainer.accelerator=cpu", "batch_size=4", "callback=[statistics]"]
    done = command(f"experiment={experiment}", f"data.dir={folder(experiment)}", *NARROW[experiment], *words)
    assert done.code == 0, done.err
    assert "finished at iteration 3" in done.out


def test_settings_are_the_papers(compose):
    """Miyato et al. 2018, table 1, C; Huang et al. 2024, table 9; what StyleGAN2-ADA's code chooses for 64 × 64."""
    adam = {}
    for experiment in NARROW:
        config = compose(f"experiment={experiment}", "data.dir=/nowhere")
        own = {key: (node["lr"], *node["betas"]) for key, node in config["optimizer"].items()}
        assert own["discriminator"] == own["generator"]
        adam[experiment] = (*own["generator"], config["batch_size"], config["k"])
        images = config["batch_size"] * config["trainer"]["max_steps"]
        assert images == pytest.approx(
            {"cifar10_sndcgan": 6.4e6, "cifar10_r3gan": 2e7}.get(experiment, 2.5e7), rel=1e-4
        )
    assert adam == {
        "cifar10_sndcgan": (2e-4, 0.5, 0.999, 64, 1),
        "cifar10_r3gan": (2e-4, 0.0, 0.99, 512, 1),
        "images64_stylegan2": (2.5e-3, 0.0, 0.99, 32, 1),
    }
    assert config["penalty"]["r1"]["gamma"] == pytest.approx(0.0002 * 64**2 / 32)


def test_r3gan_has_as_many_weights_as_the_paper_says(compose):
    """G 20.78 and D 21.28 million; the paper's D has a linear layer of 768 to 768 before the projection, ours none."""
    config = compose("experiment=cifar10_r3gan", "data.dir=/nowhere")
    with torch.device("meta"):
        networks = build_networks(config, (3, 32, 32), 10)
    generator, discriminator = (sum(p.numel() for p in net.parameters()) for net in networks)
    assert generator / 1e6 == pytest.approx(20.78, abs=0.005)
    assert (discriminator + 768 * 768) / 1e6 == pytest.approx(21.28, abs=0.005)


@pytest.mark.parametrize(
    ("experiment", "parts"),
    [
        ("fashion_dcgan", {"data"}),
        ("mnist_conditional", {"condition"}),
        ("sprites_dcgan", {"data", "condition", "model", "trainer"}),
        ("stacked_mnist_dcgan", {"data"}),
        ("emoji_dcgan", {"data", "augment"}),
    ],
)
def test_what_the_recipes_of_dcgan_differ_in(compose, experiment, parts):
    """One recipe for all, but for the noise and iterations of sprites: results differ by what the page says."""
    of_digits, config = compose("experiment=mnist_dcgan"), compose(f"experiment={experiment}")
    assert {key for key in config if config[key] != of_digits[key]} == parts


def test_what_the_recipe_of_digits_by_class_measures(command):
    """Two iterations of it, narrow: what it measures at its end."""
    narrow = [f"model.{net}.width=2" for net in ("generator", "discriminator")]
    short = ["tracking=none", "trainer.max_steps=2", "trainer.accelerator=cpu", "batch_size=4", "callback=[evaluate]"]
    few = [
        "metric=[frechet,intra_frechet,accuracy]",
        *(f"metric.{m}.samples=200" for m in ("frechet", "intra_frechet", "accuracy")),
    ]
    done = command("experiment=mnist_conditional", *narrow, *short, *few)
    assert done.code == 0, done.err
    for key in ("fd", "intra_fd", "accuracy"):
        assert f"{key}/mnist_cnn_200" in done.err + done.out
