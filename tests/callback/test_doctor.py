"""A run that goes wrong is told so while it goes on: once, and with what to type."""

import pytest
from toy_runs import train

from ganduel.callback.doctor import Doctor
from ganduel.errors import UserError
from ganduel.factory.gan import build_gan

pytestmark = pytest.mark.usefixtures("untyped")  # beartype draws from Python's generator, which is warned of
WORDS = (
    "callback=[statistics,doctor]",
    "callback.doctor.first=5",
    "log_every=5",
    "trainer.max_steps=20",
    "tracking=none",
)


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_fault_that_stays_is_said_once(tmp_path, tiny, caplog):
    """Of the looks at iterations 5, 6, 7, 9, … and at the end all see it."""
    train(tmp_path / "run", tiny("data=ring8", *WORDS, "optimizer.generator.lr=0"))
    assert warnings(caplog) == [
        "learning rate of G at zero: lr/g is 0 since iteration 1 of 5. "
        "Try schedule=constant, or another optimizer.generator.lr."
    ]


def test_a_sound_run_is_told_nothing(tmp_path, tiny, caplog):
    train(tmp_path / "run", tiny("data=ring8", *WORDS))
    assert warnings(caplog) == []


def test_it_looks_at_the_end_of_a_run_that_is_too_short_for_it(tmp_path, tiny, caplog):
    train(tmp_path / "run", tiny("data=ring8", *WORDS, "callback.doctor.first=1000", "optimizer.generator.lr=0"))
    assert [line.partition(":")[0] for line in warnings(caplog)] == ["learning rate of G at zero"]


def test_an_eps_is_told_when_training_starts(fit, tiny, images, caplog):
    gan = build_gan(tiny("model.generator.norm=batch"), images)
    for module in gan.generator.modules():
        if hasattr(module, "eps"):
            module.eps = 0.8
    fit("trainer.max_steps=1", callbacks=[Doctor()], gan=gan)
    (line,) = warnings(caplog)
    assert line.startswith("eps taken for momentum: BatchNorm1d ")
    assert "of G has eps=0.8" in line


@pytest.mark.parametrize("knobs", [{"first": 0}, {"growth": 1.0}])
def test_impossible_knobs(knobs):
    with pytest.raises(UserError, match="first ≥ 1 and growth > 1"):
        Doctor(**knobs)
