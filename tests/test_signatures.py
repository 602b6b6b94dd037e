"""Each signature of the zoo by a toy member: resumed, on two ranks, in a population it is the run that it is alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from states import same
from toy_runs import CASES, TOGETHER, WORDS, begin, distance, last, timeless, train, until

from ganduel import checkpoint
from ganduel.population.trainer import MemberSpec, train_members
from ganduel.run import run


@pytest.fixture
def values(tiny: Callable[..., dict]) -> Callable[[dict], dict[str, Any]]:
    """A function from what a toy adds to the config of a run of it."""
    return lambda parts: tiny(*WORDS) | parts


cases = pytest.mark.parametrize("parts", CASES.values(), ids=CASES)
rank_cases = pytest.mark.parametrize(
    "parts",
    [
        pytest.param(TOGETHER, id="together"),
        pytest.param(CASES["penalty that draws"], id="penalty that draws", marks=pytest.mark.slow),
    ],
)


@cases
def test_a_resumed_run_has_the_same_bits(values: Callable, tmp_path: Path, parts: dict[str, Any]):
    """Weights, average, moments, buffers of penalties and augmentations, and rows."""
    config, folder = values(parts), tmp_path / "resumed"
    whole = train(tmp_path / "whole", config)
    train(folder, until(config, 10))
    run.fit(config, folder, checkpoint.latest(folder))
    assert same(last(folder), whole)
    assert timeless(folder) == timeless(tmp_path / "whole")
    assert len(timeless(folder)) == 10


@pytest.mark.parametrize("parts", [*CASES.values(), TOGETHER], ids=[*CASES, "together"])
@pytest.mark.usefixtures("untyped")
def test_members_of_a_population_are_the_runs_alone(values: Callable, tmp_path: Path, parts: dict[str, Any]):
    alone = [train(tmp_path / f"alone{seed}", values(parts), seed=seed) for seed in (1, 2)]
    folders = [tmp_path / f"member{seed}" for seed in (1, 2)]
    specs = [
        MemberSpec(folder.name, begin(folder, values(parts), seed=seed), folder)
        for folder, seed in zip(folders, (1, 2), strict=True)
    ]
    assert train_members(specs, bar=False) is None
    for folder, expected, seed in zip(folders, alone, (1, 2), strict=True):
        assert distance(last(folder)["state_dict"], expected["state_dict"]) < 1e-9
        for mine, theirs in zip(timeless(folder), timeless(tmp_path / f"alone{seed}"), strict=True):
            assert mine == pytest.approx(theirs, rel=1e-7, abs=1e-9)
    assert distance(alone[0]["state_dict"], alone[1]["state_dict"]) > 1e-3


@rank_cases
@pytest.mark.usefixtures("untyped")
def test_two_ranks_are_one(values: Callable, tmp_path: Path, parts: dict[str, Any]):
    """What is drawn is drawn for the whole minibatch, and what is kept is averaged over the ranks."""
    config = values(parts)
    alone = train(tmp_path / "one", config)
    pair = train(tmp_path / "two", config, trainer={**config["trainer"], "devices": 2})
    assert distance(alone["state_dict"], pair["state_dict"]) < 1e-9
    for one, two in zip(timeless(tmp_path / "one"), timeless(tmp_path / "two"), strict=True):
        assert two == pytest.approx(one, rel=1e-5, abs=1e-7)


def test_what_is_kept_has_moved(values: Callable, tmp_path: Path):
    """Else that it survives a resume would say nothing."""
    state = train(tmp_path / "run", values(TOGETHER))["state_dict"]
    assert state["penalties_g.path.mean"] > 0.01
    assert abs(state["augment.p"] - 0.5) > 0.05
    assert state["augment.p"].dtype == torch.float64
