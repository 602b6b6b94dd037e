"""Lists of penalties, of D and of G, as factors and strata."""

from typing import Any

from factor_runs import NONE, R1, a_run

from ganduel.compare.pairing import arrange
from ganduel.compare.reading import Run


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
