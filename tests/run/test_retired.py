"""What earlier versions had is answered by what to type now, wherever it stands."""

import re

import pytest
import yaml
from small import mostly_slow

from ganduel.run.retired import CHOICES, OPTIONS, retired_choice, retired_option, updated

WORDS = {"trainer.accelerator": "cpu", "tracking": "none", "callback": "[statistics,saturation,theory,evaluate]"}
VALUES = {"trainer.cuda_graph": True, "trainer.compile": True, "trainer.replay": False, "trainer.onednn": "auto",
          "population.over": {"loss": ["saturating"]}}  # fmt: skip
TINY = [f"{key}={value}" for key, value in WORDS.items()]


def one_line(outcome) -> str:
    assert outcome.code == 1
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    return outcome.err


def nested(key, value):
    """The dotted key as the mappings that a YAML file has for it."""
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


@pytest.mark.parametrize("key", OPTIONS)
def test_a_retired_option_on_the_command_line(command, tmp_path, key):
    words = ["penalty=r1", *TINY] if key.startswith("penalty") else TINY
    value = "{loss: [saturating]}" if key == "population.over" else str(VALUES.get(key, 3)).lower()
    assert one_line(command(*words, f"{key}={value}")) == f"error: {retired_option(key)}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["trainer.replay", "ema.every"])
def test_a_retired_option_that_is_added(command, key):
    assert one_line(command(*TINY, f"+{key}=3")) == f"error: {retired_option(key)}\n"


@pytest.mark.parametrize("key", mostly_slow({key: key for key in OPTIONS}, quick="trainer.replay"))
def test_a_retired_option_in_an_experiment(command, tmp_path, key):
    path = tmp_path / "conf" / "experiment" / "old.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("# @package _global_\n" + yaml.safe_dump(nested(key, VALUES.get(key, 3))))
    outcome = command("--config-dir", "conf", *TINY, "experiment=old")
    assert one_line(outcome) == f"error: {retired_option(key)}\n"


@pytest.mark.parametrize("word", CHOICES)
def test_a_retired_choice(command, tmp_path, word):
    group, _, choice = word.partition("=")
    line = f"error: {retired_choice(group, choice)}\n"
    assert one_line(command(*TINY, word)) == line
    assert one_line(command(*TINY, f"{group}=[{choice}]")) == line
    path = tmp_path / "conf" / "experiment" / "old.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(f"# @package _global_\ndefaults:\n  - override /{group}: {choice}\n")
    assert one_line(command("--config-dir", "conf", *TINY, "experiment=old")) == line


def test_what_to_type_instead_composes(compose):
    """The words after "Type", but for Hydra's own; … stands for a value."""
    for advice in [*OPTIONS.values(), *CHOICES.values()]:
        for word in re.findall(r"(?<![\w./])[\w.]+=\S+", advice.replace(",", "")):
            value = {"population.grid=…": "{loss: [saturating]}"}.get(word, "7")
            compose(*(["penalty=r1"] if "r1." in word else []), word.replace("…", value))


def test_other_words_have_no_answer_here():
    assert retired_option("penalty.r1.gamma") is None
    assert retired_choice("penalty", "r1") is None


def test_a_run_of_before_has_its_tracker_by_name(compose):
    """So that `resume=RUN tracking=wandb` is no contradiction. A user's own stays as it is."""
    named = compose("tracking=wandb")["tracking"]
    assert updated({"seed": 1, "tracking": named["wandb"]}) == {"seed": 1, "tracking": named}
    assert updated({"tracking": named}) == {"tracking": named}
    assert updated({"tracking": None}) == {"tracking": {}}
    own = {"_target_": "mine.Logger", "project": "x"}
    assert updated({"tracking": own}) == {"tracking": own}
