"""Which runs a command line asks for."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf, open_dict

from ganduel.errors import UserError
from ganduel.population import members
from ganduel.run import app

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def requested() -> Iterator[Callable[..., list[members.Requested]]]:
    """A function that says what `python train.py …` makes a population of."""
    app.prepare()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):

        def find(*words: str) -> list[members.Requested]:
            config = hydra.compose("train", list(words), return_hydra_config=True)
            HydraConfig.instance().set_config(config)
            with open_dict(config):
                del config["hydra"]
            runs = members.members(config)
            assert members.number_of_members(config) == len(runs)
            assert members.first_member(config).values == runs[0].values
            return runs

        yield find
    HydraConfig.instance().cfg = None


def test_each_seed_and_each_choice_once_seeds_first(requested):
    runs = requested("population.seeds=2", "population.grid={loss: [saturating, nonsaturating]}", "k=2", "seed=5")
    names = [f"loss={form},seed={seed}" for form in ("saturating", "nonsaturating") for seed in (5, 6)]
    assert [one.name for one in runs] == names
    assert [one.values["seed"] for one in runs] == [5, 6, 5, 6]
    assert [one.overrides for one in runs] == [["k=2", *name.split(",")] for name in names]
    assert [one.choices["loss"] for one in runs] == ["saturating"] * 2 + ["nonsaturating"] * 2
    kinds = [members.config_without_seed(one.values) for one in runs]
    assert kinds[0] == kinds[1] != kinds[2] == kinds[3]


def test_a_member_has_the_config_of_the_run_alone(requested):
    words = ("data=ring8", "model.generator.hidden=[8]", "trainer.max_steps=7")
    one = requested("population.seeds=[3]", "population.grid={optimizer.generator.betas: [[0.0,0.9]]}", *words)[0]
    alone = hydra.compose("train", [*words, "seed=3", "optimizer.generator.betas=[0.0,0.9]"])
    assert one.values == OmegaConf.to_container(alone, resolve=True)


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        (("population.seeds=[4,1,9]",), [4, 1, 9]),
        (("population.seeds=3", "seed=2"), [2, 3, 4]),
        (("population.grid={clip.generator: [0.5]}", "seed=6"), [6]),
    ],
)
def test_seeds_are_counted_or_listed(requested, words: tuple[str, ...], seeds: list[int]):
    assert [one.values["seed"] for one in requested(*words)] == seeds


def test_max_epochs_are_iterations(requested):
    ones = requested("population.seeds=2", "trainer.max_epochs=1", "batch_size=20000", "trainer.max_steps=null")
    assert [one.values["trainer"]["max_steps"] for one in ones] == [3, 3]


def test_an_experiment_may_ask_for_a_population(requested):
    ones = requested("experiment=population_ring8", "population.seeds=3")
    assert [one.values["seed"] for one in ones] == [0, 1, 2] * 2
    assert all(one.values["population"] == {"seeds": None, "grid": None, "processes": "auto"} for one in ones)
    assert ones[4].overrides == ["experiment=population_ring8", "loss=nonsaturating", "seed=1"]


def test_options_of_a_penalty_are_those_of_the_members_that_have_it(requested):
    """Of experiment=dirac, which weighs each penalty for members of which each has one of them, or none."""
    grid = "population.grid={penalty: [[], [r1], [r1,dragan]]}"
    runs = requested("experiment=dirac", "~population.grid.loss", grid)
    penalties = [
        {name: node.get("gamma", node.get("weight")) for name, node in r.values["penalty"].items()} for r in runs
    ]
    assert penalties == [{}, {"r1": 1.0}, {"r1": 1.0, "dragan": 1.0}]


def test_devices_are_the_populations_and_not_a_members(requested):
    ones = requested("population.seeds=2", "trainer.devices=8")
    assert [one.values["trainer"]["devices"] for one in ones] == [1, 1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("population.seeds=0",), "neither a number of seeds, such as 32, nor a list"),
        (("population.seeds=true",), "neither a number"),
        (("population.seeds=[]",), "neither a number"),
        (("population.seeds=[a]",), "neither a number"),
        (("population.seeds=[1,1]",), "seed=1 twice"),
        (("population.grid={loss: saturating}",), "must give each option its values"),
        (("population.grid={loss: []}",), "must give each option its values"),
        (("population.grid=[loss]",), "must give each option its values"),
        (("population.grid={seed: [1]}",), "population.seeds"),
        (("population.grid={k: [1,2]}",), "cannot have k: .* -m k="),
        (("population.grid={batch_size: [8,16]}",), "cannot have batch_size"),
        (("population.grid={pack: [1,2]}",), "cannot have pack"),
        (("population.grid={unroll: [0,5]}",), "cannot have unroll"),
        (("population.grid={condition: [none,concat]}",), "cannot have condition: .* -m condition="),
        (("population.grid={model.generator.hidden: [[8],[9]]}",), "cannot have model.generator.hidden"),
        (("population.grid={loss: [saturating, saturating]}",), "loss=saturating,seed=0 twice"),
    ],
)
def test_what_makes_no_population_is_said_in_a_line(requested, words: tuple[str, ...], says: str):
    with pytest.raises(UserError, match=says):
        requested(*words)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (1e-5, "1e-05"), (0.5, "0.5"), (True, "true"), (None, "null"), ("a/b.c", "a/b.c"), ("a b", "'a b'"),
        ("it's", r"'it\'s'"), ([0.0, 0.9], "[0.0,0.9]"), ({"a": [1]}, "{a:[1]}"), ("", "''"), ("=", "'='"),
    ],
)  # fmt: skip
def test_values_as_a_command_line_has_them(value: Any, word: str):
    assert members.written(value) == word
    assert OverridesParser.create().parse_overrides([f"x={word}"])[0].value() == value
