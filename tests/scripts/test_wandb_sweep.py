"""The sweep that W&B's server would run: the command that its agent types is one that train.py takes.

No server is at hand: the values are ours, the arguments W&B's own functions make of them.
"""

from pathlib import Path

import pytest
import yaml
from conftest import TINY
from wandb.sdk.launch.sweeps import utils

from ganduel.data.mnist import MNIST
from ganduel.metric.frechet import FrechetDistance
from ganduel.tracking.files import read_config

SWEEP = yaml.safe_load((Path(__file__).parents[2] / "scripts" / "wandb_sweep.yaml").read_text(encoding="utf-8"))


def values(parameter):
    """The ends of a parameter's range, or its choices."""
    return parameter.get("values") or [parameter["min"], parameter["max"]]


def typed(number):
    """The words that an agent types for the first or the last values of all parameters."""
    chosen = {key: {"value": values(parameter)[number]} for key, parameter in SWEEP["parameters"].items()}
    arguments = utils.create_sweep_command_args({"args": chosen})
    macros = {"${env}": ["/usr/bin/env"], "${program}": [SWEEP["program"]]}
    macros |= {f"${{{name}}}": words for name, words in arguments.items()}
    command = utils.create_sweep_command(list(SWEEP["command"]))
    return [word for part in command for word in macros.get(part, [part])]


def test_the_command_of_an_agent_is_what_train_py_takes(command, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    env, python, program, *words = typed(-1)
    assert (env, python, program) == ("/usr/bin/env", "python", "train.py")
    small = [word for word in TINY if not word.startswith("tracking")]
    outcome = command(*words, *small, "model.generator.hidden=[4]", "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    config = read_config(tmp_path / "run")
    assert config["loss"]["_target_"].endswith(".Saturating")
    assert [config["optimizer"][name]["lr"] for name in ("generator", "discriminator")] == [0.01, 0.01]
    assert list(config["tracking"]) == ["wandb"]


@pytest.mark.parametrize("number", [0, -1])
def test_numbers_are_numbers_in_yaml(number):
    """1e-5 would be text."""
    ends = [values(p)[number] for p in SWEEP["parameters"].values() if "min" in p]
    assert all(isinstance(end, float) for end in ends)


def test_the_sweeps_metric_is_one_of_the_default_runs():
    metric = FrechetDistance(features=MNIST.features)
    assert metric.directions == {SWEEP["metric"]["name"]: SWEEP["metric"]["goal"] == "maximize"}
