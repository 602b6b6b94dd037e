"""Runs without files, whose configs differ in what a test varies."""

from pathlib import Path
from typing import Any

from golden import config

from ganduel.compare.reading import Run

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


def experiment(name: str, seed: int, **more: Any) -> Run:
    loss, penalty = EXPERIMENTS[name]
    return a_run(loss, seed, penalty=penalty, experiment=name, **more)
