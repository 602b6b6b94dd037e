"""One job of Hydra's is a run or a population."""

import pytest

from ganduel.run import prepare, train
from ganduel.run.app import read_summary
from ganduel.run.run import fit


@pytest.mark.parametrize(
    ("words", "many"),
    [
        ((), False),
        (("population.seeds=1",), True),
        (("population.grid={loss: [saturating]}",), True),
    ],
)
def test_a_job_is_a_population_where_one_is_asked_for(command, monkeypatch, words: tuple[str, ...], many: bool):
    asked = []
    monkeypatch.setattr("ganduel.population.training.train_population", lambda *_: asked.append("population"))
    monkeypatch.setattr(train, "prepare_run", lambda *_: prepare.Prepared({"objective": None}, summary={}))
    assert command(*words, "hydra.run.dir=run").code == 0
    assert asked == ["population"] * many


@pytest.mark.usefixtures("untyped")  # the checks of types draw from Python's generator
def test_a_run_says_where_it_is_and_what_to_type_next(tiny, tmp_path, monkeypatch, caplog):
    """20 iterations without tracking used to print nothing at all."""
    folder = tmp_path / "k=1,seed=0"
    values = tiny("tracking=none", "callback=[statistics]", "data=ring8") | {"run": {}}
    with caplog.at_level("INFO", "ganduel"):
        train.announce(folder, values)
        fit(values, folder)
        train.report(folder, read_summary(folder))
        train.report(folder, {"status": "stopped", "reason": "SIGINT", "iteration": 1234})
        train.report(folder, {"status": "failed", "reason": "no room", "iteration": 3})
    assert caplog.messages == [
        f"run {folder}: 6 iterations",
        f"run {folder}: finished at iteration 6. Samples: ganduel sample {folder} --out samples.npz",
        f"""run {folder}: stopped at iteration 1,234 by SIGINT. Go on: ganduel train resume='"{folder}"'""",
    ]
