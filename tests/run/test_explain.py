"""What Hydra and OmegaConf raise for a wrong command line, in one line that says what to type."""

import errno
from pathlib import Path

import hydra
import pytest
from hydra import initialize_config_dir
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf.errors import OmegaConfBaseException

from ganduel.errors import Diverged, UserError
from ganduel.run import app
from ganduel.run.explain import causes, explain, first_line

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def answer():
    """A function from the command line's words to the line that they are answered with."""

    def answer(*words):
        app.prepare()
        with (
            pytest.raises((HydraException, OmegaConfBaseException)) as caught,
            initialize_config_dir(str(CONF), version_base="1.3"),
        ):
            hydra.compose("train", list(words))
        return explain(caught.value)

    return answer


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("loss=saturing", ["loss=saturing is not a choice", "Did you mean", "saturating"]),
        ("loss=zzz", ["loss=zzz is not a choice", "There are: ", "nonsaturating, relativistic, "]),
        ("callback=[statistics,sample_gird]", ["callback=sample_gird is not a choice", "sample_grid"]),
        ("trainer.max_step=3", ["trainer.max_step is not an option", "Did you mean max_steps"]),
        ("sed=3", ["sed is not an option", "Did you mean seed"]),
        ("losss=saturating", ["losss", "loss"]),
        ("ema.half_life=3", ["ema.half_life is not an option", "half_life_kimg"]),
        ("clip.generater=3", ["clip.generater is not an option", "Did you mean generator"]),
        ("model.generator.hiden=[3]", ["model.generator.hiden", "hidden"]),
        ("callback=[statistic]", ["callback=statistic is not a choice", "Did you mean statistics"]),
        ("seed=abc", ["seed=abc is not a whole number"]),
        ("k=1.5", ["k=1.5 is not a whole number"]),
        ("trainer.max_steps=many", ["trainer.max_steps=many is not a whole number"]),
        ("ema.half_life_kimg=long", ["ema.half_life_kimg=long is not a number"]),
        ("trainer.sync_batchnorm=perhaps", ["trainer.sync_batchnorm", "perhaps", "true or false"]),
        ("model.generator.hidden=[", ["model.generator.hidden=[ cannot be parsed", "Quote values"]),
        ("data.name=a=b", ["data.name=a=b cannot be parsed", """typed as data.name='"a=b"'."""]),
        ("seed", ["seed cannot be parsed", "name=value"]),
        ("=", ["a word without a name is not an option"]),
        ("seed=null", ["seed=null cannot be", "needs a value"]),
        ("k=1,2", ["k=1,2 gives several values", "add -m"]),
        ("data.name=x/1,2", ["""or data.name='"x/1,2"' for one text with a comma."""]),
        ("~seed=", ["seed"]),
        ("~sed", ["sed"]),
    ],
)
def test_wrong_words_are_answered_in_one_line(answer, word, parts):
    line = answer(word)
    assert line is not None
    assert "\n" not in line
    assert [part for part in parts if part not in line] == []


def test_the_lowest_cause_that_a_user_made_speaks():
    """Hydra and Lightning wrap what a part raised while it was built."""
    error = HydraException("Error in call to target")
    error.__cause__ = UserError("k=0 must be at least 1.")
    assert explain(error) == "k=0 must be at least 1."


def test_divergence_is_explained():
    assert explain(Diverged("D's loss became nan.")) == "D's loss became nan."


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_takes_nothing(number):
    line = explain(OSError(number, "No", "/runs/x"))
    assert line == "No: /runs/x. Choose another folder with hydra.run.dir=."
    assert "the run folder" in explain(OSError(number, "No"))


@pytest.mark.parametrize("error", [ZeroDivisionError(), RuntimeError("bug"), OSError(errno.EIO, "x"), KeyError("k")])
def test_faults_of_the_program_are_not_the_users(error):
    assert explain(error) is None


def test_other_errors_of_hydra_give_their_first_line():
    assert explain(HydraException("Something.\nA trace")) == "Something"
    assert explain(ConfigCompositionException("Other.\nMore")) == "Other"


def test_causes_run_from_the_error_to_the_first():
    first, second, third = KeyError("first"), ValueError("second"), RuntimeError("third")
    third.__cause__, second.__context__ = second, first
    assert list(causes(third)) == [third, second, first]
    assert list(causes(None)) == []


def test_first_line_of_an_error_without_words_is_its_name():
    assert first_line(ValueError("")) == "ValueError"
    assert first_line(ValueError(" \na.\nb")) == "a"
