"""Every error in a config is one line that names the key and says what is valid."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganduel.errors import UserError
from ganduel.run import schema

R1 = {"_target_": "ganduel.penalty.r1.R1"}


@pytest.fixture
def changed(compose):
    """A function that sets one key of the default config, given as a path of names."""
    config = compose("tracking=none")

    def changed(path, value):
        new = deepcopy(config)
        node = new
        *folders, key = path.split(".")
        for name in folders:
            node = node[name]
        node[key] = value
        return new

    return changed


def test_the_default_config_is_sound(compose):
    schema.check(compose("tracking=none"))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        # numbers that make no run
        ("k", 0, "k=0 must be at least 1"),
        ("k", -1, "k=-1 must be at least 1"),
        ("batch_size", 0, "batch_size=0 must be at least 1"),
        ("log_every", 0, "log_every=0 must be at least 1"),
        ("checkpoint_every", -5, "checkpoint_every=-5 must be at least 1"),
        ("trainer.max_steps", 0, "trainer.max_steps=0 must be at least 1"),
        ("trainer.max_steps", None, "would never end: give trainer.max_steps or trainer.max_epochs"),
        ("trainer.max_epochs", 0, "trainer.max_epochs=0 must be at least 1"),
        ("trainer.num_nodes", 0, "trainer.num_nodes=0 must be at least 1"),
        ("trainer.devices", 0, "trainer.devices=0 starts no process"),
        ("trainer.devices", None, "trainer.devices=None starts no process"),
        ("trainer.devices", [], r"trainer.devices=\[\] starts no process"),
        ("trainer.devices", 1.5, "trainer.devices=1.5 starts no process"),
        ("trainer.devices", True, "trainer.devices=True starts no process"),
        ("clip.generator", 0.0, "clip.generator=0.0 must be positive. Use clip.generator=null"),
        ("clip.discriminator", -1.0, "clip.discriminator=-1.0 must be positive"),
        ("clip.discriminator", float("nan"), "clip.discriminator=nan must be positive"),
        # types, as the targets' annotations have them
        ("penalty.r1", {**R1, "gamma": "ten"}, "penalty.r1.gamma='ten' is not a number"),
        ("penalty.r1", {**R1, "gamma": True}, "penalty.r1.gamma=True is not a number"),
        ("penalty.r1", {**R1, "gamma": None}, "penalty.r1.gamma=None is not a number"),
        ("penalty.r1", {**R1, "every": 1.5}, "penalty.r1.every=1.5 is not a whole number"),
        ("penalty.r1", {**R1, "every": 0}, "penalty.r1.every=0 must be at least 1"),
        ("penalty_g.mine", {**R1, "every": -2}, "penalty_g.mine.every=-2 must be at least 1"),
        ("model.generator.noise_dim", 1.5, "model.generator.noise_dim=1.5 is not a whole number"),
        ("model.generator.noise_dim", "many", "model.generator.noise_dim='many' is not a whole number"),
        ("model.generator.noise", "cauchy", "model.generator.noise='cauchy' is not one of normal, uniform"),
        ("model.generator.hidden", 256, r"hidden=256 is not a list of whole numbers, such as \[256,512\]"),
        ("model.generator.hidden", [256, "x"], "hidden=.* is not a list of whole numbers"),
        ("model.discriminator.norm", True, "norm=True is not one of none, batch, layer, spectral"),
        ("data.train_on", "test", r"data.train_on='test' is not one of train, train\+validation"),
        ("data.dir", 3, "data.dir=3 is not text or null"),
        ("optimizer.generator.lr", "fast", "optimizer.generator.lr='fast' is not a number"),
        ("optimizer.discriminator.betas", [0.5], r"optimizer.discriminator.betas=\[0.5\] is not a list of number"),
        ("optimizer.generator.fused", "yes", "optimizer.generator.fused='yes' is not true or false or null"),
        ("callback.sample_grid.n", "64", "callback.sample_grid.n='64' is not a whole number"),
        ("callback.statistics.every_n_iterations", 1.5, "statistics.every_n_iterations=1.5 is not a whole number"),
        ("engine", "graph", "engine=graph is not known. Did you mean cuda_graph"),
        ("engine", "turbo", "engine=turbo is not known. There are: auto, compile, cuda_graph, eager"),
        (
            "trainer.matmul_precision",
            "highest_",
            "trainer.matmul_precision=highest_ is not known. Did you mean highest",
        ),
        # names, with the nearest
        ("foo", 3, "foo is not an option"),
        ("batchsize", 3, "batchsize is not an option. Did you mean batch_size"),
        ("trainer.max_step", 3, "trainer.max_step is not an option. Did you mean max_steps"),
        ("trainer.strategy", "ddp", "trainer.strategy is not an option. There are: "),
        ("ema.halflife_kimg", 3.0, "ema.halflife_kimg is not an option. Did you mean half_life_kimg"),
        ("clip.d", 3.0, "clip.d is not an option. There are: discriminator, generator"),
        ("model.generator.hiden", [5], "model.generator.hiden is not known. Did you mean hidden"),
        ("model.generators", {}, "model.generators is not known. Did you mean generator"),
        ("data.train_onn", "train", "data.train_onn is not known. Did you mean train_on"),
        ("loss.gamma", 1.0, "loss.gamma is not known. There are: real_target"),
        ("optimizer.generator.learning_rate", 1.0, "optimizer.generator.learning_rate is not known. There are: .*lr"),
        ("schedule.generater", None, "schedule.generater is not known. Did you mean generator"),
        # what only the program may fill in
        ("model.generator.shape", [1], "model.generator.shape is not known"),
        ("optimizer.generator.params", [], "optimizer.generator.params is not known"),
        # parts that are no parts
        ("loss", None, "loss must have a _target_, the class to build; found None"),
        ("loss", "saturating", "loss must have a _target_, the class to build; found 'saturating'"),
        ("penalty", R1, "penalty=ganduel.penalty.r1.R1 must give each penalty a name, as penalty.r1 does"),
        ("penalty", ["r1"], "must give each penalty a name, as penalty.r1 does"),
        ("penalty.r1", 5, "penalty.r1 must have a _target_"),
        ("penalty.r1", {}, "penalty.r1 must have a _target_"),
        ("penalty.r1", {"gamma": 1.0}, r"penalty.r1 has options, but penalty does not have r1. .* penalty=\[r1\]"),
        ("augment", None, "augment must have a _target_"),
        ("augment.p", 0.5, "augment.p is not known. It takes no options"),
        # of earlier versions
        ("trainer.replay", "auto", "trainer.replay is no longer an option"),
        ("ema.every", 4, "ema.every is no longer an option"),
        ("penalty.gamma", 0.1, "penalty.gamma is no longer an option"),
        ("callback.statistics.every", 5, "callback.statistics.every is no longer an option"),
        ("loss._target_", "ganduel.loss.wgan.WGAN", "loss._target_=ganduel.loss.wgan.WGAN cannot be imported"),
        ("loss._target_", "ganduel.loss.saturating.Saturate", "loss._target_=.*Saturate cannot be imported"),
        ("loss._target_", "", "loss._target_= cannot be imported"),
        ("loss._target_", None, "loss._target_=None cannot be imported"),
        ("loss._target_", "math.pi", "loss._target_=math.pi is no class, but 3.14"),
        ("model.generator", None, "model.generator is missing: both networks need one"),
        ("optimizer.discriminator", None, "optimizer.discriminator is missing"),
        ("model", None, "model=None must have model.discriminator and model.generator"),
        ("schedule", "cosine", "schedule=cosine must have schedule.discriminator"),
        ("callback", ["statistics"], "must give each callback a name"),
        ("callback.statistics", 5, "callback.statistics must have a _target_"),
        ("tracking", {"wandb": {"project": "x"}}, "tracking.wandb has options, but tracking does not have wandb"),
        ("tracking", {"project": "x"}, r"tracking.project is no longer an option. Type tracking.wandb.project=…"),
    ],
)
def test_wrong_configs(changed, path, value, message):
    with pytest.raises(UserError, match=message) as error:
        schema.check(changed(path, value))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 0),
        ("run", {"id": "of a run that is resumed"}),
        ("ema", None),
        ("trainer.devices", "auto"),
        ("trainer.devices", -1),
        ("trainer.devices", [0, 1]),
        ("clip.generator", 1),
        ("model.generator.hidden", []),
        ("optimizer.generator.lr", 1),
        ("optimizer.generator.betas", [0, 0.9]),
        ("optimizer.generator", {"_target_": "torch.optim.RMSprop", "lr": 1e-4}),
        ("penalty", {"r1": {**R1, "gamma": 0}}),
        ("penalty", {"r1": R1, "mine": {**R1, "every": 16}}),
        ("penalty_g", {"mine": {"_target_": "tests_of_a_user.Loss"}}),
        ("engine", "compile"),
        ("schedule.generator", None),
        ("callback", None),
        ("callback", {}),
        ("tracking", None),
        ("tracking", {}),
        ("loss", {"_target_": "tests_of_a_user.Loss"}),
    ],
)
def test_right_configs(changed, path, value, monkeypatch):
    """Also a user's own classes, integers for numbers, and groups that are left out."""
    import sys
    import types

    own = types.ModuleType("tests_of_a_user")
    own.Loss = type("Loss", (), {})
    monkeypatch.setitem(sys.modules, "tests_of_a_user", own)
    schema.check(changed(path, value))


def test_max_epochs_alone_ends_a_run(changed):
    config = changed("trainer.max_steps", None)
    config["trainer"]["max_epochs"] = 3
    schema.check_numbers(config)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(plain)
def test_any_plain_value_in_the_place_of_a_part_is_judged(value):
    """Never an error of Python's own."""
    for path in ("loss", "data"):
        with pytest.raises(UserError, match=f"^{path}"):
            schema.check_target(value, path)
    with pytest.raises(UserError, match=r"^model"):
        schema.check_networks(value, "model", required=True)


@given(plain)
def test_any_plain_value_of_a_knob_is_judged(value):
    node = {"_target_": "ganduel.model.mlp.MLPGenerator", "hidden": value, "noise": value, "noise_dim": value}
    try:
        schema.check_target(node, "model.generator")
    except UserError as error:
        assert str(error).startswith("model.generator.")  # noqa: PT017 - a whole number in all three cannot be
