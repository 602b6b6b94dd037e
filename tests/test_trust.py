"""Which classes a stored config may name where, and what is refused."""

import re
from pathlib import Path

import pytest
import yaml

from ganduel.errors import UserError
from ganduel.trust import check_stored, is_builtin, walk

CONF = Path(__file__).parents[1] / "conf"
SOURCE = Path("run")
ADAM = {"_target_": "torch.optim.Adam", "lr": 0.1}


def check(config, **how):
    check_stored(config, SOURCE, "--trust", **how)


def test_every_choice_that_ships_is_taken():
    """In its place, once its interpolations are resolved."""
    named = []
    for path in sorted(CONF.glob("*/*.yaml")):
        text = re.sub(r"\$\{.*?\}", "1", path.read_text(encoding="utf-8"))
        config = {path.parent.name: yaml.safe_load(text)}
        if path.parent.name != "experiment":
            check(config)
            named += [value for key, value in walk(config) if key.endswith("._target_")]
    assert len(named) > 30


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("data", "ganduel.loss.nonsaturating.NonSaturating"),  # of another kind
        ("model.generator", "ganduel.model.mlp.MLPDiscriminator"),
        ("data", "torch.nn.Linear"),
        ("data", "torch.optim.Adam"),
        ("data.dir", "ganduel.data.ring8.Ring8"),  # of the right kind, in no place of its own
        ("seed", "ganduel.data.ring8.Ring8"),
        ("", "ganduel.data.ring8.Ring8"),
        ("penalty", "ganduel.penalty.r1.R1"),  # a penalty has a name
        ("penalty.r1.gamma", "ganduel.penalty.r1.R1"),
        ("data", "ganduel.data.ring8.Mixture"),  # an import of a module of ours
        ("data", "ganduel.data.images.Image.open"),
        ("data", "ganduel.factory.gan.import_module"),
        ("data", "ganduel.command.sample.os.system"),
        ("data", "ganduel.data.ring8"),
        ("data", "ganduel.data.ring8."),
        ("data", "ganduel.nowhere.Data"),
        ("data", "ganduel..Data"),
        ("data", "GANDUEL.data.ring8.Ring8"),
        ("data", "ganduel.data.ring8.Ring8\n"),
        ("data", ["ganduel.data.ring8.Ring8"]),
        ("data", None),
        ("callback.x", "lightning.pytorch.callbacks.ModelCheckpoint"),  # writes and deletes where it is told to
        ("callback.x", "lightning.pytorch.callbacks.Callback"),
        ("data", "lightning.pytorch.callbacks.EarlyStopping"),
        ("tracking", "lightning.pytorch.loggers.CSVLogger"),
        ("optimizer.generator", "torch.optim.lr_scheduler.LinearLR"),
        ("optimizer.generator", "torch.optim.swa_utils.AveragedModel"),
    ],
)
def test_what_is_not_ours_or_not_there(path, target):
    assert not is_builtin(path, {"_target_": target})


@pytest.mark.parametrize("name", ["DeviceStatsMonitor", "EarlyStopping", "LearningRateMonitor", "Timer"])
def test_a_callback_of_lightnings_that_writes_no_file_is_taken(name):
    """A run with such a callback was resumed by trust=true alone, which trusts everything else in its folder, too."""
    check({"callback": {"mine": {"_target_": f"lightning.pytorch.callbacks.{name}"}}})


@pytest.mark.parametrize("key", ["_args_", "_partial_", "_recursive_", "_convert_"])
def test_a_part_of_ours_takes_nothing_of_hydras(key):
    with pytest.raises(UserError, match=r"run names torch\.optim\.Adam \(optimizer\.generator\), no such part"):
        check({"optimizer": {"generator": {**ADAM, key: []}}})


def test_parts_anywhere_in_a_config_are_seen():
    config = {"loss": {"weights": [1, {"deep": {"_target_": "os.system", "command": "true"}}]}}
    assert [path for path, _ in walk(config)][-3:] == [
        "loss.weights.1.deep",
        "loss.weights.1.deep._target_",
        "loss.weights.1.deep.command",
    ]
    with pytest.raises(UserError, match=r"os\.system \(loss\.weights\.1\.deep\), no such part of ganduel"):
        check(config)


def test_what_the_command_line_names_is_the_users_own():
    """In the same place, and with the same of Hydra's keys; its options may be others, as of a callback."""
    mine = {"_target_": "my_gan.Mine", "size": 3}
    check({"data": mine}, named={"data": {**mine, "size": 4}})
    for named in ({"loss": mine}, {"data": {**mine, "_target_": "my_gan.Other"}}, {"data": None}, {}, None):
        with pytest.raises(UserError, match=r"my_gan\.Mine \(data\)"):
            check({"data": mine}, named=named)
    with pytest.raises(UserError, match=r"my_gan\.Mine \(data\)"):
        check({"data": {**mine, "_args_": [1]}}, named={"data": mine})
    with pytest.raises(UserError, match=r"os\.system \(data\.size\)"):
        check({"data": {**mine, "size": {"_target_": "os.system"}}}, named={"data": mine})


def test_a_user_may_trust_it():
    check({"data": {"_target_": "my_gan.Mine", "_args_": [{"_target_": "os.system"}]}}, trusted=True)


@pytest.mark.parametrize("trusted", [False, True])
def test_an_interpolation_is_refused_in_any_case(trusted):
    with pytest.raises(
        UserError, match=r"run has an interpolation as data\.dirs\.0, where a stored config has a value"
    ):
        check({"data": {"dirs": ["${oc.env:HOME}"]}}, trusted=trusted)


def test_a_message_names_a_few_and_has_no_control_characters():
    config = {"callback": {f"c{n}": {"_target_": "a\x1b[31m.B" if n == 0 else f"a.B{n}"} for n in range(5)}}
    with pytest.raises(UserError) as error:
        check(config)
    assert r"run names 'a\x1b[31m.B' (callback.c0), a.B1 (callback.c1), a.B2 (callback.c2), …, no such" in str(
        error.value
    )
