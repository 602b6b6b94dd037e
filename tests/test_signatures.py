"""Each signature of the zoo by a toy: resumed, on two ranks and in a population it is the run that it is alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from states import same
from toy_runs import (
    CASES,
    DIFFERENT,
    TOGETHER,
    UNROLLED,
    WORDS,
    check_equal,
    distance,
    last,
    members,
    timeless,
    train,
    until,
)

from ganduel import checkpoint
from ganduel.population.trainer import MemberSpec, train_members
from ganduel.run import run
from ganduel.tracking.files import read_config


@pytest.fixture
def values(tiny: Callable[..., dict]) -> Callable[..., dict[str, Any]]:
    """A function from what a toy adds to the config of a run of it, and other words."""
    return lambda parts, *words: tiny(*WORDS, *words) | parts


def cases(*fast: str) -> pytest.MarkDecorator:
    """All toys, of which everyone runs some."""
    every = {**CASES, "together": TOGETHER, "unrolled": UNROLLED}
    marked = [pytest.param(p, id=n, marks=() if n in fast else pytest.mark.slow) for n, p in every.items()]
    return pytest.mark.parametrize("parts", marked)


@cases("together", "minibatch std")
@pytest.mark.usefixtures("untyped")
def test_a_resumed_run_has_the_same_bits(values: Callable, tmp_path: Path, parts: dict[str, Any]):
    """Weights, average, moments, buffers of penalties and augmentations, and rows."""
    config, folder = values(parts), tmp_path / "resumed"
    whole = train(tmp_path / "whole", config)
    train(folder, until(config, 10))
    longer = until(read_config(folder), config["trainer"]["max_steps"])
    run.fit(longer, folder, checkpoint.latest(folder))
    assert same(last(folder), whole)
    assert timeless(folder) == timeless(tmp_path / "whole")
    assert {row["iteration"] for row in timeless(folder)} == {1, 5, 10, 15, 20}
    for name, beginning in (("penalties_g.path.average", 0.0), ("augment.p", 0.5)):
        if name in whole["state_dict"]:
            assert abs(whole["state_dict"][name] - beginning) > 0.01  # else it would say nothing that it survives


@cases("together")
@pytest.mark.usefixtures("untyped")
def test_members_of_a_population_are_the_runs_alone(values: Callable, tmp_path: Path, parts: dict[str, Any]):
    """Penalties in one kernel for all members, or one after another."""
    pairs = members(tmp_path, [values(parts) | {"seed": seed} for seed in (1, 2)])
    for alone, member in pairs:
        check_equal(alone, member)
    (_, first), (_, second) = pairs
    assert distance(last(first)["state_dict"], last(second)["state_dict"]) > 1e-3


@pytest.mark.slow
@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("words", [(), ("model.discriminator.norm=spectral",), ("model.discriminator.dropout=0.3",)],
                         ids=["plain", "spectral norm in D", "dropout in D"])  # fmt: skip
def test_members_may_differ_in_every_part(values: Callable, tmp_path: Path, words: tuple[str, ...]):
    """Also where the first has nothing of what the others have; and no pass through D is made for others alone."""
    parts = list(DIFFERENT.values())
    configs = [values(p, *words) | {"seed": seed} for p in (parts if words else parts[::-1]) for seed in (1, 2)]
    for alone, member in members(tmp_path, [until(config, 10) for config in configs]):
        check_equal(alone, member)


@pytest.mark.slow
@pytest.mark.usefixtures("untyped")
def test_a_population_of_toys_is_resumed(values: Callable, tmp_path: Path):
    """One member alone from the middle of the other's way, which has to wait; both end as if never stopped."""
    configs = [values(TOGETHER) | {"seed": seed} for seed in (1, 2)]
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder, config, n in zip(folders, configs, (10, 14), strict=True):
        train(folder, until(config, n))
        train(tmp_path / f"whole_{folder.name}", config)
    specs = [
        MemberSpec(folder.name, config, folder, checkpoint.latest(folder))
        for folder, config in zip(folders, configs, strict=True)
    ]
    assert train_members(specs, bar=False) is None
    for folder in folders:
        whole = tmp_path / f"whole_{folder.name}"
        assert distance(last(folder)["state_dict"], last(whole)["state_dict"]) < 1e-9
        assert [row["iteration"] for row in timeless(folder) if row["iteration"] > 14] == [15, 15, 20, 20]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(TOGETHER, id="together", marks=pytest.mark.slow),
        pytest.param(UNROLLED, id="unrolled", marks=pytest.mark.slow),
        pytest.param(CASES["every 4"], id="without labels", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_two_ranks_are_one(values: Callable, tmp_path: Path, parts: dict[str, Any]):
    """What is drawn is drawn for the whole minibatch, and what is kept is averaged over the ranks."""
    config = values(parts)
    alone = train(tmp_path / "one", config)
    pair = train(tmp_path / "two", config, trainer={**config["trainer"], "devices": 2})
    assert distance(alone["state_dict"], pair["state_dict"]) < 1e-9
    for one, two in zip(timeless(tmp_path / "one"), timeless(tmp_path / "two"), strict=True):
        assert two == pytest.approx(one, rel=1e-5, abs=1e-7)
