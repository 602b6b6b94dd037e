"""One job of Hydra's is a run or a population."""

import pytest

from ganduel.run import train


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
    monkeypatch.setattr(train, "prepare_run", lambda *_: ({"objective": None}, None, {}))
    assert command(*words, "hydra.run.dir=run").code == 0
    assert asked == ["population"] * many
