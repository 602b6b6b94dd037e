"""What a run's config becomes before the run begins."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from ganduel.errors import UserError
from ganduel.factory.data import build_data
from ganduel.run import app, prepare

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(("words", "iterations"), [
    (("trainer.max_epochs=1", "batch_size=128"), 468),  # 60,000 // 128
    (("trainer.max_epochs=2", "batch_size=128", "k=3"), 312),
    (("trainer.max_epochs=1", "batch_size=60000", "k=2"), 1),
    (("trainer.max_epochs=5", "trainer.max_steps=100"), 100),
])  # fmt: skip
def test_an_epoch_is_one_pass_over_the_data(compose: Callable[..., dict], words: tuple[str, ...], iterations: int):
    values = compose(*words)
    assert prepare.iterations(values, build_data(values), words) == iterations


@pytest.mark.parametrize(("words", "iterations"), [
    ((), 9380),
    (("trainer.max_epochs=100",), 46_800),
    (("experiment=mnist_r1", "trainer.max_epochs=100", "batch_size=128"), 46_800),
    (("trainer.max_epochs=100", "trainer.max_steps=50000"), 46_800),
    (("trainer.max_epochs=100", "trainer.max_steps=7"), 7),
    (("trainer.max_epochs=100", "trainer.max_steps=null"), 46_800),
])  # fmt: skip
def test_epochs_that_are_typed_replace_the_default_number_of_iterations(words: tuple[str, ...], iterations: int):
    """100 epochs were 20 where the default max_steps capped them."""
    app.prepare()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config, choices = prepare.compose("train", words)
        assert prepare.validate(config, choices, words)[0]["trainer"]["max_steps"] == iterations


R1 = {"_target_": "ganduel.penalty.r1.R1", "gamma": 10.0, "every": 1}


@pytest.mark.parametrize(("words", "names"), [
    ((), []),
    (("penalty=[]",), []),
    (("penalty=r1",), ["r1"]),
    (("penalty=[r1]",), ["r1"]),
    (("experiment=mnist_r1",), ["r1"]),
    (("experiment=mnist_r1", "penalty=[]", "~penalty.r1"), []),
])  # fmt: skip
def test_penalties_are_a_list_of_choices(compose: Callable[..., dict], words: tuple[str, ...], names: list[str]):
    config = compose(*words)
    assert list(config["penalty"]) == names
    assert config["penalty_g"] == {}


@pytest.fixture
def user_conf(tmp_path: Path) -> Path:
    """A user's config folder, with a penalty of D and one of G."""
    for group, name in (("penalty", "mine"), ("penalty_g", "x")):
        (tmp_path / "conf" / group).mkdir(parents=True)
        (tmp_path / "conf" / group / f"{name}.yaml").write_text(yaml.safe_dump({name: {**R1, "gamma": 1.0}}))
    return tmp_path / "conf"


@pytest.mark.parametrize(("words", "penalty", "penalty_g"), [
    (("penalty=[r1,mine]", "penalty.r1.gamma=0.1"), {"r1": 0.1, "mine": 1.0}, {}),
    (("penalty=mine", "penalty_g=x"), {"mine": 1.0}, {"x": 1.0}),
    (("penalty_g=[x]", "penalty_g.x.gamma=3.0"), {}, {"x": 3.0}),
])  # fmt: skip
def test_penalties_of_a_user_stand_beside_those_that_ship(command, user_conf, words, penalty, penalty_g):
    printed = command("--config-dir", str(user_conf), *words, "--cfg", "job", "--package", "_global_")
    assert printed.code == 0, printed.err
    config = yaml.safe_load(printed.out)
    assert {name: node["gamma"] for name, node in config["penalty"].items()} == penalty
    assert {name: node["gamma"] for name, node in config["penalty_g"].items()} == penalty_g


@pytest.mark.parametrize("word", ["penalty=[r1,r1]", "callback=[statistics,theory,statistics]"])
def test_a_choice_named_twice_is_refused(word: str):
    with pytest.raises(UserError, match=r"names (r1|statistics) twice"):
        prepare.refuse_repetitions(["seed=1", "~ema", word])
    prepare.refuse_repetitions(["penalty=[r1,r2]", "model.generator.hidden=[8,8]", "metric=null"])


def test_two_runs_never_share_a_folder(compose: Callable[..., dict], tmp_path: Path):
    """Unless one has only left its config, as a kill before its first checkpoint does."""
    (tmp_path / "config.yaml").write_text("run: {}\n")
    prepare.start(compose(), tmp_path, {}, ())
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(UserError, match=r"holds a run already. Go on with it by resume="):
        prepare.start(compose(), tmp_path, {}, ())


def test_keys_that_follow_from_another(compose: Callable[..., dict]):
    """Directly, by another key, or in a list; the number itself is left as it was."""
    config = OmegaConf.create({"trainer": {"max_steps": 9}, "a": "${trainer.max_steps}", "b": {"c": "${a}"}, "d": 9})
    config.steps = ["${trainer.max_steps}", 3]
    assert prepare.followers(config, "trainer.max_steps") == ["a", "b.c", "steps"]
    assert config.trainer.max_steps == 9


def test_the_record_has_penalties_as_one_choice(compose: Callable[..., dict], tmp_path: Path):
    """Hydra has a choice of a group only where it is one; comparisons and W&B's groups go by it."""
    for words, choice in (((), "none"), (("penalty=r1",), "r1"), (("penalty=[r1]",), "r1")):
        recorded = prepare.start(compose(*words), tmp_path, {"loss": "nonsaturating"}, words)
        assert recorded["run"]["choices"] == {"loss": "nonsaturating", "penalty": choice, "penalty_g": "none"}
