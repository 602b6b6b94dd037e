"""Parts from configs: every file of every group makes its part, and the seed alone makes the initial weights."""

import tarfile
from pathlib import Path

import pytest
import torch
from cifar_files import made_up, write_binary
from PIL import Image

from ganduel.augment.base import Augment
from ganduel.data.base import Data, TensorData
from ganduel.data.gaussian1d import Gaussian1D
from ganduel.data.mnist import ASSETS
from ganduel.errors import UserError
from ganduel.factory import gan as builder
from ganduel.factory.gan import build_engine, build_gan
from ganduel.factory.networks import build_condition, build_networks
from ganduel.factory.part import build
from ganduel.loss.base import Loss
from ganduel.model.dropout import Dropout
from ganduel.penalty.base import Penalty
from ganduel.run import schema

CONF = Path(__file__).parents[2] / "conf"
FILES = sorted(path.relative_to(CONF).with_suffix("") for path in CONF.glob("*/*.yaml"))


def words(file):
    """What chooses this config file on the command line."""
    group, name = file.parts
    needed = ["optimizer=sgd"] if file == Path("schedule/goodfellow2014") else []  # a schedule of the momentum
    return [*needed, f"{group}=[{name}]" if group in ("callback", "metric", "penalty") else f"{group}={name}"]


def optimizers_of(gan):
    """Those of D and G, and their schedules, if they have any."""
    gan.configure_optimizers()
    optims = (gan.optim_d, gan.optim_g)
    return [o.optimizer for o in optims], [o.schedule for o in optims if o.schedule is not None]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_config_file_composes_checks_and_builds(compose, images, tmp_path, file):
    """Trackers are checked only: building one begins to write. Of data that are not shipped a stand-in is built."""
    config = compose(*words(file), "batch_size=4")
    if config["population"]["grid"]:  # options of penalties that some members have
        config["penalty"] = {name: node for name, node in config["penalty"].items() if "_target_" in node}
    schema.check(config)
    points = config["model"]["generator"]["_target_"].rpartition(".")[2] in ("AffineGenerator", "DiracGenerator")
    convolutions = "mlp" not in config["model"]["generator"]["_target_"]
    if convolutions or file.parts[0] == "augment":
        images = TensorData(torch.zeros(4, 3, 8, 8, dtype=torch.uint8))  # which can be halved, and turns keep
    if build_condition(config).takes_labels:
        images.set_labels(torch.arange(len(images.samples)) % 4)
    gan = build_gan(config, Gaussian1D() if points else images)
    optimizers, _ = optimizers_of(gan)
    assert [len(optimizer.param_groups[0]["params"]) for optimizer in optimizers] == [
        len(list(network.parameters())) for network in (gan.discriminator, gan.generator)
    ]
    for node in (*config["callback"].values(), *config["metric"].values()):
        build(node)
    if file.parts[0] == "data":
        if file.name == "images":
            Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
            config["data"]["dir"] = str(tmp_path)
        if file.name == "fashion_mnist":
            config["data"]["dir"] = str(ASSETS)  # the same four files
        if file.name == "cifar10":
            config["data"]["dir"] = str(write_binary(tmp_path / "cifar10", made_up()))
        if file.name == "webdataset":
            Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
            with tarfile.open(tmp_path / "x.tar", "w") as shard:
                shard.add(tmp_path / "x.png", "x.png")
            config["data"]["dir"] = str(tmp_path)
        if file.name == "huggingface":  # an extra, with tests of its own
            return
        assert isinstance(build(config["data"]), Data)


def test_choices_say_what_they_are(compose):
    """A loss is a Loss, a penalty a Penalty, and each is another class than its neighbours."""
    for group, base in (("loss", Loss), ("penalty", Penalty), ("augment", Augment)):
        files = [file for file in FILES if file.parts[0] == group]
        nodes = [compose(f"{group}={file.name}")[group] for file in files]
        if group == "penalty":  # a list of those chosen, each under its name
            nodes = [node[file.name] for node, file in zip(nodes, files, strict=True)]
        parts = [build(node) for node in nodes]
        assert parts
        assert all(isinstance(part, base) for part in parts)
        assert len({type(part) for part in parts}) == len(parts)


def weights(config, seed=0):
    config["seed"] = seed
    return [p for network in build_networks(config, (1, 2, 3)) for p in network.state_dict().values()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_initial_weights_follow_from_the_seed_alone(tiny):
    """Whatever the global generator's state, which is left as it was."""
    torch.manual_seed(1)
    one = weights(tiny(), seed=0)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    other = weights(tiny(), seed=0)
    assert equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert not equal(one, weights(tiny(), seed=1))


def test_networks_have_streams_of_their_own(tiny):
    """Another D leaves G's initial weights as they are."""
    one, _ = build_networks(tiny(), (3,))
    other, _ = build_networks(tiny("model.discriminator.hidden=[5,5]"), (3,))
    assert equal(list(one.parameters()), list(other.parameters()))


def test_generator_and_discriminator_do_not_share_their_draws(tiny):
    g, d = build_networks(tiny("model.generator.noise_dim=6", "model.discriminator.hidden=[8]"), (1, 2, 3))
    assert g.net[0].weight.shape == d.net[1].weight.shape
    assert not torch.equal(g.net[0].weight, d.net[1].weight)


def test_knobs_reach_their_parts(tiny, images):
    gan = build_gan(
        tiny(
            "penalty=r1", "penalty.r1.gamma=3.5", "penalty.r1.every=4", "k=2", "seed=7", "ema.half_life_kimg=2.0",
            "ema.ramp=null", "ema.every_n_iterations=3", "clip.generator=0.5", "optimizer.discriminator.lr=0.25",
            "model.generator.noise=uniform",
        ),
        images,
    )  # fmt: skip
    assert list(gan.penalties_d) == ["r1"]
    assert (gan.penalties_d["r1"].gamma, gan.penalties_d["r1"].every) == (3.5, 4)
    assert len(gan.penalties_g) == 0
    assert (gan.batches.k, gan.batches.batch_size, gan.batches.seed) == (2, 4, 7)
    assert (gan.ema.half_life, gan.ema.ramp, gan.ema.every) == (2000, None, 3)
    assert (gan.optim_g.clip, gan.optim_d.clip) == (0.5, None)
    assert gan.generator.noise == "uniform"
    (opt_d, opt_g), _ = optimizers_of(gan)
    assert opt_d.param_groups[0]["lr"] == 0.25
    assert opt_g.param_groups[0]["lr"] == 1e-3
    assert opt_d.param_groups[0]["betas"] == (0.5, 0.999)


def test_an_average_is_updated_in_each_iteration_where_the_config_says_nothing(tiny, images):
    """As configs of the format before `ema.every_n_iterations` do, which are still evaluated."""
    values = tiny()
    assert values["ema"].pop("every_n_iterations") == 4
    assert build_gan(values, images).ema.every == 1


def test_penalties_of_both_networks_come_by_their_names(tiny, images):
    """Several of each; what an empty list or null gives is none."""
    config = tiny()
    node = {"_target_": "ganduel.penalty.r1.R1", "gamma": 1.0}
    config["penalty"] = {"first": node, "second": {**node, "gamma": 2.0}}
    config["penalty_g"] = {"third": {**node, "every": 16}}
    gan = build_gan(config, images)
    assert {name: penalty.gamma for name, penalty in gan.penalties_d.items()} == {"first": 1.0, "second": 2.0}
    assert {name: penalty.every for name, penalty in gan.penalties_g.items()} == {"third": 16}
    for none in (None, {}):
        config["penalty"] = config["penalty_g"] = none
        assert len(build_gan(config, images).penalties_d) == len(build_gan(config, images).penalties_g) == 0


def test_a_penalty_that_refuses_is_named_by_its_place(tiny, images):
    with pytest.raises(UserError, match=r"^R1: every=0 must be at least 1"):
        build_gan(tiny("penalty=r1", "penalty.r1.every=0"), images)
    config = tiny()
    config["penalty_g"] = {"path": {"_target_": "ganduel.penalty.r1.R1", "gama": 1.0}}
    with pytest.raises(UserError, match=r"^penalty_g.path: .*gama"):
        build_gan(config, images)


def test_no_average_on_request(tiny, images):
    gan = build_gan(tiny("ema=null"), images)
    assert gan.ema is None
    assert gan.ema_generator is gan.generator


def test_configs_are_not_changed_by_building(tiny, images):
    config = tiny("penalty=r1")
    build_gan(config, images).configure_optimizers()
    assert config == tiny("penalty=r1")


def test_goodfellow2014_is_the_published_model(compose, images):
    """Numbers of weights, rates and layers as in mnist.yaml of github.com/goodfeli/adversarial."""
    config = compose("experiment=goodfellow2014")
    schema.check(config)
    generator, discriminator = build_networks(config, (1, 28, 28))
    assert [tuple(p.shape) for p in generator.parameters() if p.ndim == 2] == [(1200, 100), (1200, 1200), (784, 1200)]
    assert [tuple(p.shape) for p in discriminator.parameters() if p.ndim == 2] == [(1200, 784), (1200, 240), (1, 240)]
    for network, scale in ((generator, 0.05), (discriminator, 0.005)):
        assert all(0.9 * scale < p.abs().max() <= scale for p in network.parameters() if p.ndim == 2)
        assert all(p.abs().max() == 0 for p in network.parameters() if p.ndim == 1)
    assert [layer.p for layer in discriminator.modules() if isinstance(layer, Dropout)] == [0.2, 0.5, 0.5]
    (opt_d, opt_g), schedules = optimizers_of(build_gan(config, images))
    assert [opt.param_groups[0]["momentum"] for opt in (opt_d, opt_g)] == [0.5, 0.5]
    assert [opt.param_groups[0]["lr"] for opt in (opt_d, opt_g)] == [0.05, 0.1]
    assert [type(schedule).__name__ for schedule in schedules] == ["DecayAndMomentum"] * 2
    assert (config["ema"], config["k"], config["batch_size"], config["data"]["train_on"]) == (None, 1, 100, "train")


def test_an_engine_that_was_deleted_is_one_line(monkeypatch):
    monkeypatch.setattr(builder, "find_spec", lambda path: None)
    with pytest.raises(UserError, match=r"engine=compile: this copy of ganduel has no .*compile\.py\. Use engine="):
        build_engine("compile", {})
