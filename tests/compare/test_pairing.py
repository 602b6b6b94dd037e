"""Runs are paired if they are equal in everything but the factor; what else differs keeps them apart or is named."""

from collections.abc import Sequence
from typing import Any

import pytest
from factor_runs import EXPERIMENTS, NONE, R1, a_run, both, experiment
from hypothesis import given, settings
from hypothesis import strategies as st

from ganduel.compare.pairing import arrange
from ganduel.compare.reading import Run
from ganduel.errors import UserError


def lr(value: float) -> dict[str, Any]:
    return {"optimizer__generator__lr": value}


# ---- the factor


def test_forms_over_seeds_are_paired_by_seed():
    design = arrange(both(0, 1, 2))
    assert (design.factor, design.levels, design.strata) == ("loss", ["nonsaturating", "saturating"], [""])
    pairs = design.pairs("", "saturating", "nonsaturating")
    assert list(pairs) == [0, 1, 2]
    for seed, (first, second) in pairs.items():
        assert (first.config["seed"], second.config["seed"]) == (seed, seed)
        assert first.config["loss"]["_target_"].endswith(".Saturating")
        assert second.config["loss"]["_target_"].endswith(".NonSaturating")
    assert (design.duplicates, design.environment_differences) == ([], [])


@settings(max_examples=20)  # each is a whole comparison
@given(st.permutations(both(0, 1, 2) + both(0, 2, k=2)))
def test_the_order_of_runs_does_not_matter(runs: list[Run]):
    design, expected = arrange(runs), arrange(both(0, 1, 2) + both(0, 2, k=2))
    assert (design.factor, design.levels, design.strata) == (expected.factor, expected.levels, expected.strata)
    assert {place: run.name for place, run in design.cells.items()} == {
        place: run.name for place, run in expected.cells.items()
    }
    assert list(design.pairs("k=2", "saturating", "nonsaturating")) == [0, 2]


def test_a_key_is_a_factor():
    design = arrange([a_run(k=k, seed=seed) for k in (1, 5, 10) for seed in (0, 1)])
    assert (design.factor, design.levels, design.strata) == ("k", ["k=1", "k=5", "k=10"], [""])
    design = arrange([a_run(seed=seed, **lr(value)) for value in (1e-3, 1e-5, 2e-4) for seed in (0, 1)])
    assert (design.factor, design.levels) == ("optimizer.generator.lr", ["lr=1e-05", "lr=0.0002", "lr=0.001"])


def test_values_of_a_group_tell_its_levels_apart():
    """Without R1, with it, and with more of it: the choice names two of them alike."""
    penalties = (NONE, {**R1, "gamma": 1.0}, {**R1, "gamma": 10.0})
    design = arrange([a_run(seed=seed, penalty=penalty) for penalty in penalties for seed in (0, 1)])
    assert (design.factor, design.levels) == ("penalty", ["none", "r1 (gamma=1.0)", "r1 (gamma=10.0)"])
    assert design.strata == [""]
    assert list(design.pairs("", "none", "r1 (gamma=10.0)")) == [0, 1]


def test_a_key_of_a_group_whose_choice_does_not_vary():
    runs = [a_run(seed=seed, penalty={**R1, "gamma": gamma}) for gamma in (1.0, 10.0) for seed in (0, 1)]
    design = arrange(runs)
    assert (design.factor, design.levels) == ("penalty.gamma", ["gamma=1.0", "gamma=10.0"])
    design = arrange(runs, "penalty")
    assert (design.factor, design.levels) == ("penalty", ["r1 (gamma=1.0)", "r1 (gamma=10.0)"])
    assert design.strata == [""]


def test_a_key_of_a_group_whose_choice_varies_too():
    """γ = 1 and γ = 10 are one stratum: they differ in γ alone. The run without R1 has no γ to compare."""
    penalties = (NONE, {**R1, "gamma": 1.0}, {**R1, "gamma": 10.0})
    design = arrange([a_run(seed=seed, penalty=p) for p in penalties for seed in (0, 1)], "penalty.gamma")
    assert design.levels == ["gamma=1.0", "gamma=10.0", "gamma=absent"]
    assert len(design.strata) == 2
    paired = [stratum for stratum in design.strata if design.pairs(stratum, "gamma=1.0", "gamma=10.0")]
    assert len(paired) == 1
    assert "R1" in paired[0]
    assert not design.of(paired[0], "gamma=absent")


def test_of_two_factors_the_other_makes_strata():
    design = arrange(both(0, 1) + both(0, 1, 2, k=5))
    assert (design.factor, design.strata) == ("loss", ["k=1", "k=5"])
    assert list(design.pairs("k=1", "saturating", "nonsaturating")) == [0, 1]
    assert list(design.pairs("k=5", "saturating", "nonsaturating")) == [0, 1, 2]
    other = arrange(both(0, 1) + both(0, 1, 2, k=5), "k")
    assert (other.factor, other.levels) == ("k", ["k=1", "k=5"])
    assert other.strata == ["loss=nonsaturating", "loss=saturating"]
    assert list(other.pairs("loss=saturating", "k=1", "k=5")) == [0, 1]


def test_several_others_make_strata_of_their_combinations():
    design = arrange([run for k in (1, 2) for value in (1, 2) for run in both(0, k=k, **lr(value))])
    assert design.strata == [f"k={k}, optimizer.generator.lr={value}" for k in (1, 2) for value in (1, 2)]
    assert all(design.pairs(stratum, "saturating", "nonsaturating") for stratum in design.strata)


def test_any_difference_keeps_runs_apart():
    """Nothing but the factor may differ within a pair, however small: a batch size, one of two betas."""
    for change in ({"batch_size": 65}, {"optimizer__generator__betas": [0.5, 0.99]}, {"more": True}, {"seed2": 1}):
        design = arrange([a_run("saturating"), a_run("nonsaturating", **change)])
        assert len(design.strata) == 2, change
        assert not any(design.pairs(stratum, "saturating", "nonsaturating") for stratum in design.strata)


def test_values_of_the_same_short_name_are_not_taken_for_one():
    """Classes of one name from two modules, and a number beside a text."""
    for values in (("lab.a.Net", "lab.b.Net"), (1, "1"), (None, "null"), ("absent", None), (1, True), ({}, "{}")):
        runs = [run for value in values for run in both(0, net=value)]
        assert len(arrange(runs).strata) == 2, values
        assert len(arrange(runs, "net").levels) == 2, values
    runs = [a_run("x", loss___target_="lab.a.X"), a_run("x", loss___target_="lab.b.X")]
    assert arrange(runs, "loss").levels == ['x (_target_="lab.a.X")', 'x (_target_="lab.b.X")']


def test_what_a_run_does_not_depend_on_does_not():
    more = {"tracking": {"project": "x"}, "callback": {"a": {"every": 3}}, "metric": {"b": 1}, "log_every": 7}
    more |= {"checkpoint_every": 9, "resume": "there", "trainer__devices": 2, "trainer__accelerator": "gpu"}
    more |= {"engine": "cuda_graph", "trainer__replay": False, "checkpoint_min_seconds": 5, "checkpoint_seconds": 5}
    more |= {"population": {"seeds": 2, "grid": {"k": [1, 2]}}}
    design = arrange([a_run("saturating"), a_run("nonsaturating", **more)])
    assert design.strata == [""]
    assert list(design.pairs("", "saturating", "nonsaturating")) == [0]


def test_length_is_what_a_run_depends_on():
    """Half as many iterations are no pair of the whole."""
    design = arrange([a_run("saturating"), a_run("nonsaturating", trainer__max_steps=250)])
    assert design.strata == ["trainer.max_steps=250", "trainer.max_steps=500"]
    assert not any(design.pairs(stratum, "saturating", "nonsaturating") for stratum in design.strata)


def test_experiments_are_a_factor_of_all_that_they_say():
    design = arrange([experiment(name, seed) for name in EXPERIMENTS for seed in (0, 1)])
    assert (design.factor, design.levels, design.strata) == ("experiment", ["better", "plain"], [""])
    assert list(design.pairs("", "better", "plain")) == [0, 1]


def test_what_varies_within_an_experiment_is_none_of_it():
    design = arrange([experiment(name, 0, **lr(value)) for name in EXPERIMENTS for value in (1, 2)])
    assert design.factor == "experiment"
    assert design.strata == ["optimizer.generator.lr=1", "optimizer.generator.lr=2"]


def test_a_group_across_experiments_that_agree_otherwise():
    """Four experiments, two forms with and without R1: of the two without, the form is the only difference."""
    forms, penalties = ("saturating", "nonsaturating"), {"": NONE, "_r1": {**R1, "gamma": 1.0}}
    runs = [
        a_run(loss, seed, penalty=penalty, experiment=f"{loss}{name}")
        for loss in forms for name, penalty in penalties.items() for seed in (0, 1)
    ]  # fmt: skip
    design = arrange(runs, "loss")
    assert design.levels == ["nonsaturating", "saturating"]
    assert len(design.strata) == 2
    for stratum in design.strata:
        assert list(design.pairs(stratum, "nonsaturating", "saturating")) == [0, 1]
    assert arrange(runs).factor == "experiment"
    assert arrange(runs).levels == ["nonsaturating", "nonsaturating_r1", "saturating", "saturating_r1"]


def test_experiments_that_differ_in_name_alone_repeat_each_other():
    design = arrange([a_run(experiment="a"), a_run(experiment="b")])
    assert (design.factor, design.levels, len(design.duplicates)) == ("loss", ["saturating"], 1)
    assert arrange([a_run(experiment="a"), a_run(experiment="b")], "experiment").levels == ["a", "b"]


@pytest.mark.parametrize("runs", [both(0), both(0, k=3)[:1]])
def test_where_nothing_else_varies_the_form_is_the_factor(runs: list[Run]):
    assert arrange(runs).factor == "loss"


def test_a_factor_that_does_not_vary_has_one_level():
    design = arrange(both(0, 1), "penalty")
    assert (design.levels, design.strata) == (["penalty=[]"], ["loss=nonsaturating", "loss=saturating"])
    design = arrange(both(0, 1), "batch_size")
    assert design.levels == ["batch_size=64"]
    design = arrange([a_run(seed=seed) for seed in (0, 1)])
    assert (design.factor, design.levels, design.strata) == ("loss", ["saturating"], [""])


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("los", "--factor los is not in the runs' configs. Did you mean loss?"),
        ("K", "--factor K is not in the runs' configs. There are: k, loss."),
        ("optimizer.generator.lrr", "configs. Did you mean optimizer.generator.lr or "),
        ("xyzzy", "--factor xyzzy is not in the runs' configs. There are: k, loss."),
        ("", "--factor  is not in the runs' configs. There are: k, loss."),
        (
            "seed",
            "--factor seed cannot be: runs are paired by their seeds.",
        ),
    ],
)
def test_a_factor_that_is_none_is_answered_with_the_nearest(word: str, words: str):
    """Of all keys; where none is near, those that vary."""
    with pytest.raises(UserError) as error:
        arrange(both(0, 1) + both(0, k=2), word)
    assert words in str(error.value)


# ---- places


def test_seeds_without_a_partner_are_known():
    design = arrange([*both(0, 3), a_run("saturating", 1), a_run("nonsaturating", 2)])
    assert list(design.pairs("", "nonsaturating", "saturating")) == [0, 3]
    lonely = design.unpaired("", "nonsaturating", "saturating")
    assert sorted(run.config["seed"] for run in lonely) == [1, 2]
    assert not arrange(both(0)).unpaired("", "nonsaturating", "saturating")


def test_seeds_are_in_the_order_of_numbers():
    design = arrange([a_run(seed=seed) for seed in (10, 9, 100, -1)])
    assert list(design.of("", "saturating")) == [-1, 9, 10, 100]


@pytest.mark.parametrize(
    ("statuses", "taken"),
    [
        (("finished", "finished"), 0),
        (("failed", "finished"), 1),
        (("unfinished", "finished"), 1),
        (("finished", "failed"), 0),
        (("failed", "unfinished"), 0),
        (("failed", "unfinished", "finished", "finished"), 2),
    ],
)
def test_of_repeated_runs_the_first_that_finished_is_taken(statuses: Sequence[str], taken: int):
    runs = [a_run(status=status, name=str(n)) for n, status in enumerate(statuses)]
    design = arrange(runs)
    assert list(design.cells.values()) == [runs[taken]]
    assert {run.name for run, _ in design.duplicates} == {str(n) for n in range(len(runs)) if n != taken}


@given(
    st.lists(st.builds(a_run, st.sampled_from(["saturating", "x"]), st.integers(0, 3), st.integers(1, 2)), min_size=1)
)
def test_every_run_has_one_place(runs: list[Run]):
    design = arrange(runs)
    assert len(design.cells) + len(design.duplicates) == len(runs)
    for (stratum, level, seed), run in design.cells.items():
        assert stratum in design.strata
        assert level in design.levels
        assert seed == run.config["seed"]
        assert design.of(stratum, level)[seed] is run


# ---- the data


def pictures(seed: int, loss: str, folder: str, checksum: str | None) -> Run:
    run = a_run(loss, seed, data={"_target_": "ganduel.data.images.Images", "dir": folder}, name=f"{loss}{seed}")
    run.config["run"]["data"] = {"dir": f"/{folder}"} | ({} if checksum is None else {"checksum": checksum})
    return run


def test_the_same_data_at_two_places_are_the_same():
    """Runs of two machines, or from before and after the data were moved, were not paired."""
    design = arrange([pictures(0, "saturating", "b", "1f"), pictures(0, "nonsaturating", "a", "1f")])
    assert (design.strata, len(design.pairs("", *design.levels))) == ([""], 1)
    assert {config["data.dir"] for config in design.flat_configs.values()} == {'"a"'}


def test_other_data_at_the_same_place_are_others():
    """Pictures that were added between two runs went unnoticed, and the two were paired."""
    design = arrange([pictures(0, "saturating", "a", "1f"), pictures(0, "nonsaturating", "a", "2e")], "loss")
    assert design.strata == ["data.dir=a (1f)", "data.dir=a (2e)"]


def test_data_without_a_checksum_on_record_are_known_by_their_place():
    runs = [pictures(0, "saturating", "a", None), pictures(0, "nonsaturating", "a", "1f")]
    assert arrange(runs).strata == [""]
    assert len(arrange([*runs, pictures(1, "saturating", "b", None)]).strata) == 2
