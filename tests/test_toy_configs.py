"""Toys by the command line: the next part is one file and one yaml, and what does not fit is refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import TINY
from small import mostly_slow
from toy_runs import CASES, PATH, R2, labelled, last, loss
from toys import part

SMALL = ("data=ring8", "model.generator.hidden=[8]", "model.discriminator.hidden=[8]", "trainer.precision=64-true")
TOYS = {
    "penalty_g/path": {"path": PATH},
    "penalty/never": {"never": R2 | {"every": 0}},
    "penalty/unnamed": R2,
    "augment/noise": part("AdaptiveNoise", step=0.02),
    "loss/toy_hinge": loss("hinge.Hinge"),
    "data/labelled": part("LabelledPoints", n=48),
    "model/conditional": labelled()["model"],
    "model/minibatch_std": CASES["minibatch std"]["model"],
    "model/half": {**CASES["minibatch std"]["model"], "generator": part("ConditionalGenerator")},
    "model/other_half": {**CASES["minibatch std"]["model"], "discriminator": part("ProjectionDiscriminator")},
}


@pytest.fixture
def user(command: Callable, tmp_path: Path) -> Callable:
    """A function that runs a command with a user's folder of YAML files."""
    for name, node in TOYS.items():
        path = tmp_path / "my_conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# a toy\n{yaml.safe_dump(node)}", encoding="utf-8")
    return lambda *words: command("--config-dir", "my_conf", *TINY, *words, "hydra.run.dir=run")


PARTS = {
    "unlabelled": (*SMALL, "penalty=[r1,r2]", "penalty.r1.every=2", "penalty_g=path", "augment=noise"),
    "labelled": ("data=labelled", "model=conditional", "loss=toy_hinge", "penalty=[r1,r2]", "penalty_g=[path]",
                 "augment=noise"),
}  # fmt: skip


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("words", mostly_slow(PARTS, "labelled"))
def test_a_part_is_one_file_and_one_yaml(user: Callable, tmp_path: Path, words: tuple[str, ...]):
    assert user(*words).code == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["status"], summary["iteration"]) == ("finished", 2)
    assert {"loss/penalty_d", "loss/penalty_g"} <= summary["metrics"].keys()
    assert {"penalties_g.path.average", "augment.p"} <= last(tmp_path / "run")["state_dict"].keys()
    choices = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["run"]["choices"]
    assert (choices["penalty"], choices["penalty_g"], choices["augment"]) == ("r1+r2", "path", "noise")


REFUSED = {
    "data=labelled": "the data have labels of 3 classes, and G (MLPGenerator) takes none.",
    "data=labelled model=half": "the data have labels of 3 classes, and D (MinibatchStd) takes none.",
    "data=ring8 model=conditional": "model.generator: ConditionalGenerator takes labels, and the data have none.",
    "data=ring8 model=other_half":
        "model.discriminator: ProjectionDiscriminator takes labels, and the data have none.",
    "penalty=never": "penalty.never.every=0 must be at least 1.",
    "penalty_g=path penalty_g.path.every=0": "penalty_g.path.every=0 must be at least 1.",
    "penalty=[r2,r2]": "penalty=[r2,r2] names r2 twice.",
    "penalty=unnamed": "penalty=ganduel.penalty.r2.R2 must give each penalty a name, as penalty.r1 does.",
    "augment=noise augment.stepp=1": "augment.stepp is not an option. Did you mean step?",
    "augment=nose": "augment=nose is not a choice. Did you mean noise or none?",
    "+augment.p=0.5": "augment.p is not known. It takes no options.",
    "data=labelled model=conditional +model.generator.classes=5":
        "model.generator.classes is not known. There are: hidden, noise_dim.",
}  # fmt: skip
QUICK = ("data=labelled", "data=ring8 model=conditional", "penalty=never")


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("words", [pytest.param(w, marks=() if w in QUICK else pytest.mark.slow) for w in REFUSED])
def test_what_does_not_fit_is_refused_in_one_line(user: Callable, tmp_path: Path, words: str):
    """No part of the run is trained."""
    outcome = user(*words.split())
    assert outcome.code == 1
    assert outcome.err == f"error: {REFUSED[words]}\n"
    assert not list(tmp_path.glob("run/checkpoints/*"))
