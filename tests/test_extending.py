"""User parts, outside the package: the examples of docs/extending.md, written out and trained with."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from programs import Program
from small import EVALUATION
from states import same

ROOT = Path(__file__).parents[1]
SHORT = ["--config-dir", "my_conf", "tracking=none", "trainer.accelerator=cpu", "trainer.max_steps=2"]
SMALL = ["model.generator.hidden=[8]", "model.discriminator.hidden=[8]"]
TINY = [*SHORT, "batch_size=8"]


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The page's files in an empty folder; the blocks of one file follow each other."""
    monkeypatch.delitem(sys.modules, "my_gan", raising=False)
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    for text in re.findall(r"```\w+\n(.*?)```", page, re.DOTALL):  # as they stand, whoever copies them
        path = tmp_path / re.search(r"^# (my_\S+?);?( |$)", text, re.MULTILINE).group(1)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    yield tmp_path
    sys.modules.pop("my_gan", None)


def summary(folder):
    (path,) = folder.glob("runs/*/*/summary.json")
    return json.loads(path.read_text())


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    "words",
    [
        ["loss=absolute_error", *SMALL, *EVALUATION],
        ["penalty=flat_on_fakes", *SMALL, *EVALUATION],
        ["penalty=[flat_on_fakes,r1]", "penalty_g=[jacobian_norm]", "augment=jitter", "data=spiral", *SMALL],
        ["data=ring", "model=quadratic"],
        ["data=ring", *SMALL],
        [
            "data=clusters",
            "model=conditional",
            "penalty=[r1,flat_on_fakes]",
            "penalty_g=[jacobian_norm]",
            "augment=jitter",
        ],
        ["data=spiral", "metric=[radius_gap]", *SMALL],
        ["data=spiral", "penalty=r1", *SMALL],
        ["callback=[statistics,stop_early]", "log_every=1", "callback.stop_early.every_n_iterations=1", *SMALL],
        ["experiment=ring", *SMALL],
    ],
    ids=" ".join,
)
def test_user_parts_train(command, example, words):
    outcome = command(*words, *TINY)
    assert outcome.code == 0, outcome.err
    left = summary(example)
    assert left["status"] == "finished"
    assert ("radius_gap/points_500/floor" in left["metrics"]) == ("metric=[radius_gap]" in words)
    choices = " ".join(words)
    for key, group in (("loss/penalty_d", "penalty="), ("loss/penalty_g", "penalty_g=")):
        assert (key in left["metrics"]) == (group in choices or ("experiment" in choices and key == "loss/penalty_d"))


@pytest.mark.usefixtures("untyped")
def test_what_user_parts_keep_and_draw_survives_a_resume(command, example):
    """A penalty of G with a moving average, and an augmentation that adapts: the same bits."""
    words = [
        "penalty_g=[jacobian_norm]",
        "penalty_g.jacobian_norm.every=1",
        "augment=jitter",
        "data=spiral",
        *SMALL,
        *TINY,
    ]
    for folder, steps in (("whole", 5), ("parts", 2)):
        assert command(*words, f"trainer.max_steps={steps}", f"hydra.run.dir={folder}").code == 0
    refused = command("resume=parts", "--config-dir", "my_conf", "trainer.max_steps=5")
    assert refused.code == 1
    assert "names my_gan.JacobianNorm (penalty_g.jacobian_norm), my_gan.Jitter (augment), " in refused.err
    assert "If it is yours, or you trust it, add trust=true." in refused.err
    assert command("resume=parts", "trust=true", "trainer.max_steps=5").code == 0
    whole, parts = (
        torch.load(example / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("whole", "parts")
    )
    assert same(whole["state_dict"], parts["state_dict"])
    assert same(whole["optimizer_states"], parts["optimizer_states"])
    assert whole["state_dict"]["penalties_g.jacobian_norm.mean"] > 0
    assert whole["state_dict"]["augment.p"] > 0


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("loss=absolute_error +loss.targt=2", "loss.targt is not known. Did you mean target?"),
        ("loss=absolute_error loss.targt=2", "loss.targt is not an option. Did you mean target?"),
        ("loss=absolute_error loss.target=high", "loss.target='high' is not a number."),
        ("loss=mistyped", "loss.targt is not known. Did you mean target?"),
        ("loss=broken", "loss/broken.yaml, line 3, is not YAML: "),
        ("experiment=mistyped", "batchsize is not an option. Did you mean batch_size?"),
        ("loss=absolute_eror", "loss=absolute_eror is not a choice. Did you mean absolute_error?"),
        (
            "penalty=flat_on_fakes penalty.flat_on_fakes.wight=2",
            "flat_on_fakes.wight is not an option. Did you",
        ),
        ("penalty=flat_on_fakes penalty.flat_on_fakes.every=0", "every=0 must be at least 1."),
        (
            "penalty_g=[jacobian_norm,jacobian_norm]",
            "penalty_g=[jacobian_norm,jacobian_norm] names jacobian_norm twice.",
        ),
        ("penalty_g=[path_lenght]", "penalty_g=path_lenght is not a choice. "),
        ("augment=jiter", "augment=jiter is not a choice. "),
        ("data=clusters", "error: the data have labels of 3 classes, and G (MLPGenerator) takes none."),
        (
            "data=ring model=conditional",
            "error: model.generator: ConditionalGenerator takes labels, and the data have none.",
        ),
        ("experiment=rings", "experiment=rings is not a choice. Did you mean ring or "),
        ("loss=nowhere", "loss._target_=my_gan.Nowhere cannot be imported: "),
        ("data=ring trainer.max_epochs=1", "this data set never ends"),
    ],
)
def test_what_is_wrong_with_them_is_said_as_of_built_in_parts(command, example, words, message):
    conf = example / "my_conf"
    (conf / "loss" / "mistyped.yaml").write_text("_target_: my_gan.AbsoluteError\ntargt: 2.0\n")
    (conf / "loss" / "broken.yaml").write_text("_target_: my_gan.AbsoluteError\ntarget: [\n")
    (conf / "loss" / "nowhere.yaml").write_text("_target_: my_gan.Nowhere\n")
    (conf / "experiment" / "mistyped.yaml").write_text("# @package _global_\nbatchsize: 3\n")
    outcome = command(*words.split(), *TINY)
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (example / "runs").exists()


@pytest.mark.usefixtures("untyped")
def test_help_lists_them(command, example):
    text = command("--config-dir", "my_conf", "--help").out
    assert re.search(r"loss=nonsaturating .*absolute_error", text)
    assert re.search(r"experiment .*ring", text)


@pytest.mark.slow
def test_user_parts_on_two_ranks(example):
    program = Program(example, "experiment=ring", "trainer.devices=2", *SMALL, *TINY)
    assert program.wait() == 0, program.printed()
    assert summary(example)["status"] == "finished"
