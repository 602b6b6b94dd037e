"""Runs of toy parts, each in its folder, and what is left of them."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import part

from ganduel import checkpoint
from ganduel.population.trainer import MemberSpec, train_members
from ganduel.run import prepare, run
from ganduel.run.schema import check
from ganduel.tracking.files import rows

WORDS = ("data=ring8", "tracking=none", "callback=[statistics,saturation]", "trainer.precision=64-true", "log_every=5",
         "callback.saturation.gradient_every_n_iterations=5", "batch_size=8", "k=2",
         "trainer.max_steps=20", "checkpoint_min_seconds=0", "ema.every_n_iterations=1")  # fmt: skip
CLOCK = ("seconds", "speed/images_per_second")
R1 = {"_target_": "ganduel.penalty.r1.R1", "gamma": 1.0}
R2 = {"_target_": "ganduel.penalty.r2.R2", "gamma": 1.0}
INTERPOLATED = {"_target_": "ganduel.penalty.gradient_penalty.GradientPenalty", "weight": 1.0}
PATH = {"_target_": "ganduel.penalty.path_length.PathLength", "weight": 0.5, "decay": 0.9, "every": 1}


def loss(name: str) -> dict[str, Any]:
    """A loss of the package in a config."""
    return {"_target_": f"ganduel.loss.{name}"}


def labelled(data: str = "LabelledPoints") -> dict[str, Any]:
    """Data with labels, and networks that take them."""
    model = {"generator": part("ConditionalGenerator"), "discriminator": part("ProjectionDiscriminator")}
    return {"data": part(data), "model": model}


def discriminator(name: str) -> dict[str, Any]:
    """That D, and the usual G."""
    generator = {"_target_": "ganduel.model.mlp.MLPGenerator", "noise_dim": 3, "hidden": [8]}
    return {"model": {"generator": generator, "discriminator": part(name)}}


# What each adds to the config: a signature of the zoo.
CASES: dict[str, dict[str, Any]] = {
    "labels": labelled(),
    "R1 and R2": {"penalty": {"r1": R1, "r2": R2}},
    "every 4": {"penalty": {"r1": R1 | {"every": 4}}},
    "penalty that draws": {"penalty": {"interpolated": INTERPOLATED}},
    "penalty of G with a buffer": {"penalty_g": {"path": PATH}},
    "augmentation with state": {"augment": part("AdaptiveNoise")},
    "minibatch std": discriminator("MinibatchStd"),
    "functional batch norm": discriminator("FunctionalBatchNorm"),
}
TOGETHER: dict[str, Any] = {
    **labelled(),
    "penalty": {"r1": R1, "r2": R2 | {"every": 4}, "interpolated": INTERPOLATED | {"every": 2}},
    "penalty_g": {"path": PATH | {"every": 2}},
    "augment": part("AdaptiveNoise"),
}
UNROLLED: dict[str, Any] = {**TOGETHER, "loss": loss("relativistic_average.RelativisticAverage"), "unroll": 2}
# Members that differ in more than the seed: one after another in this order.
DIFFERENT: dict[str, dict[str, Any]] = {
    "plain": {},
    "stretched": {"augment": part("Stretch")},
    "augmented": CASES["augmentation with state"],
    "R1 and R2": CASES["R1 and R2"],
    "lazy": CASES["every 4"],
    "lazier": {"penalty": {"r1": R1 | {"every": 5}}},
    "drawing": CASES["penalty that draws"],
    "path": CASES["penalty of G with a buffer"],
    "hinge": {"loss": loss("hinge.Hinge")},
    "relativistic": {"loss": loss("relativistic.Relativistic")},
    "all": {key: value for key, value in TOGETHER.items() if key not in ("data", "model")},
}


def begin(folder: Path, values: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Begin a run of these values in a new folder."""
    values = deepcopy({**values, **changes})
    check(values)
    folder.mkdir()
    return prepare.start(values, folder, {"loss": values["loss"]["_target_"].rpartition(".")[2].lower()}, [])


def train(folder: Path, values: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Train such a run alone; returns its last checkpoint."""
    run.fit(begin(folder, values, **changes), folder)
    return last(folder)


def until(values: Mapping[str, Any], n: int) -> dict[str, Any]:
    """The same with another number of iterations."""
    return {**values, "trainer": {**values["trainer"], "max_steps": n}}


def last(folder: Path) -> dict[str, Any]:
    """The checkpoint to resume from, of which a resumed run is to have the same: all but the config and clocks."""
    entries = checkpoint.read(checkpoint.latest(folder))
    return {key: entries[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step")}


def timeless(folder: Path) -> list[dict[str, Any]]:
    """The rows without clocks."""
    return [{k: v for k, v in row.items() if k not in CLOCK} for row in rows(folder / "metrics.jsonl")]


def distance(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> float:
    """The largest difference between two state dicts."""
    assert first.keys() == second.keys()
    return max((first[key] - second[key]).abs().max().item() for key in first)


def members(tmp_path: Path, configs: list[dict[str, Any]]) -> list[tuple[Path, Path]]:
    """Train runs alone, and as members of a population; returns their folders in pairs."""
    pairs = [(tmp_path / f"alone{i}", tmp_path / f"member{i}") for i in range(len(configs))]
    for (folder, _), config in zip(pairs, configs, strict=True):
        train(folder, config)
    specs = [
        MemberSpec(folder.name, begin(folder, config), folder)
        for (_, folder), config in zip(pairs, configs, strict=True)
    ]
    assert train_members(specs, bar=False) is None
    return pairs


def check_equal(alone: Path, member: Path) -> None:
    """Weights, average, what is kept and rows, to rounding."""
    assert distance(last(member)["state_dict"], last(alone)["state_dict"]) < 1e-9
    for mine, theirs in zip(timeless(member), timeless(alone), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-7, abs=1e-9)
