"""Runs are paired if they are equal in everything but the factor; what else differs keeps them apart or is named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from golden import config
from hypothesis import given, settings
from hypothesis import strategies as st

from ganduel.compare.pairing import Design, arrange, environment_differences
from ganduel.compare.reading import Run
from ganduel.errors import UserError

R1 = {"_target_": "ganduel.penalty.r1.R1", "every": 1}
NONE = {"_target_": "ganduel.penalty.none.NoPenalty"}
EXPERIMENTS = {"plain": ("saturating", NONE), "better": ("nonsaturating", {**R1, "gamma": 1.0})}


def a_run(
    loss: str = "saturating", seed: int = 0, k: int = 1, status: str = "finished", name: str = "", **more: Any
) -> Run:
    """A run without files. `penalty` and `experiment` become choices; __ in a key stands for a dot."""
    values = config(loss, seed, k)
    choices = values["run"]["choices"]
    for key, value in more.items():
        *path, last = key.split("__")
        node = values
        for part in path:
            node = node[part]
        node[last] = value
    if "penalty" in more:
        choices["penalty"] = "r1" if "gamma" in more["penalty"] else "none"
    choices["experiment"] = values.pop("experiment", None)
    words = f"{loss},k={k},{','.join(map(str, more.values()))},seed={seed}"
    return Run(Path("/runs") / (name or words), values, status=status)


def both(*seeds: int, **more: Any) -> list[Run]:
    return [a_run(loss, seed, **more) for seed in seeds for loss in ("saturating", "nonsaturating")]


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


def experiment(name: str, seed: int, **more: Any) -> Run:
    loss, penalty = EXPERIMENTS[name]
    return a_run(loss, seed, penalty=penalty, experiment=name, **more)


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


def penalised(seed: int, penalty: dict[str, Any], **more: Any) -> Run:
    """A run with named penalties, and their names as the choice."""
    run = a_run(seed=seed, name=f"{sorted(penalty)},{seed},{sorted(more.items())}", **more)
    run.config["penalty"] = penalty
    run.config["run"]["choices"]["penalty"] = list(penalty)
    return run


def test_lists_of_penalties_are_levels_and_strata():
    """Without a penalty, with R1, with more of it, and with R2 too."""
    r1, strong, r2 = {**R1, "gamma": 0.1}, {**R1, "gamma": 1.0}, {"_target_": "ganduel.penalty.r2.R2"}
    penalties = ({}, {"r1": r1}, {"r1": strong}, {"r1": r1, "r2": r2})
    design = arrange([penalised(seed, penalty) for penalty in penalties for seed in (0, 1)])
    assert (design.factor, design.strata) == ("penalty", [""])
    assert design.levels == [
        "penalty=[]",
        "penalty=[r1,r2]",
        "penalty=[r1] (r1.gamma=0.1)",
        "penalty=[r1] (r1.gamma=1.0)",
    ]
    assert list(design.pairs("", "penalty=[]", "penalty=[r1,r2]")) == [0, 1]
    design = arrange([penalised(0, penalty, loss=loss) for penalty in ({}, {"r1": r1}) for loss in ("saturating", "x")])
    assert (design.factor, design.strata) == ("loss", ["penalty=[]", "penalty=[r1]"])
    design = arrange([penalised(0, {"r1": penalty}) for penalty in (r1, strong)])
    assert (design.factor, design.levels) == ("penalty.r1.gamma", ["gamma=0.1", "gamma=1.0"])


def test_penalties_of_the_generator_and_augmentation_are_factors():
    runs = [a_run(seed=seed) for seed in (0, 1)]
    for seed in (0, 1):
        run = a_run(seed=seed, name=f"pl{seed}", penalty_g={"path_length": {"_target_": "lab.PathLength", "every": 4}})
        run.config["run"]["choices"]["penalty_g"] = ["path_length"]
        runs.append(run)
    design = arrange(runs)
    assert (design.factor, design.levels) == ("penalty_g", ["penalty_g=[]", "penalty_g=[path_length]"])
    run = a_run(augment={"_target_": "lab.Flip"})
    run.config["run"]["choices"]["augment"] = "flip"
    assert arrange([a_run(), run]).levels == ["flip", "none"]


def test_penalties_of_older_runs_are_another_level():
    """A single penalty instead of named ones, and no augmentation: readable, though not the same as none today."""
    old = a_run(penalty=NONE)
    for key in ("penalty_g", "augment", "engine"):
        old.config.pop(key)
        old.config["run"]["choices"].pop(key, None)
    design = arrange([old, a_run()], "penalty")
    assert design.levels == ["penalty=[]", "penalty=none"]
    assert design.strata == ["augment=absent, penalty_g=absent", "augment=none, penalty_g=[]"]
    assert arrange([old]).levels == ["saturating"]


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


# ---- what differs besides


def versions(torch: str) -> dict[str, Any]:
    return {"run__versions": {"python": "3.11.7", "torch": torch}}


def test_what_differs_besides_is_named_and_keeps_nothing_apart():
    runs = [
        a_run(seed=0, **versions("2.12.0")),
        a_run(seed=1, **versions("2.13.0")),
        a_run("x", 0, **versions("2.13.0")),
    ]
    design = arrange(runs)
    assert design.strata == [""]
    assert design.environment_differences == ["versions.torch: 2.12.0 (1 run), 2.13.0 (2 runs)"]


def test_devices_machines_and_commits_are_named():
    runs = [
        a_run(seed=0),
        a_run(
            seed=1, trainer__accelerator="gpu", trainer__devices=2, run__git="fedcba", run__machine={"cpu": "other"},
            engine="eager", trainer__replay=True,
        ),
    ]  # fmt: skip
    lines = environment_differences(runs)
    assert "trainer.accelerator: cpu (1 run), gpu (1 run)" in lines
    assert "trainer.devices: 1 (1 run), 2 (1 run)" in lines
    assert "git: 0123456789 (1 run), fedcba (1 run)" in lines
    assert "engine: auto (1 run), eager (1 run)" in lines
    assert "trainer.replay: absent (1 run), true (1 run)" in lines
    assert "machine.cpu: some (1 run), other (1 run)" in lines
    assert not [words for words in lines if words.startswith("trainer.num_nodes")]


def test_a_version_that_some_runs_lack():
    runs = [a_run(seed=0), a_run(seed=1, run__versions={"python": "3.11.7"})]
    assert environment_differences(runs) == ["versions.torch: 2.13.0 (1 run), absent (1 run)"]


def test_configs_without_a_trainer_or_choices():
    """As of a program that is older or newer."""
    runs = [a_run(seed=seed, trainer=None) for seed in (0, 1)]
    for run in runs:
        run.config["run"].pop("choices")
        run.config["run"].pop("git")
    design: Design = arrange(runs)
    assert (design.levels, design.environment_differences) == (["loss=Saturating"], [])


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
