"""Modules that may not be known to others, and those that may not be named."""

import pytest
from module_imports import MODULES, ROOT, closure, imports, ours, within

TRAINING = ("batch", "block", "optim", "gan", "engine", "factory", "run", "population")
CONCRETE = ("loss", "penalty", "augment", "condition", "model", "data")


@pytest.mark.parametrize("name", ours(*TRAINING, "callback", "tracking", "checkpoint", "checkpoint_io"))
def test_no_concrete_part_is_named(name):
    """Parts come in by their configs; a new loss touches its module, its config file and its test.

    A packed D is around any, and any D is unrolled.
    """
    parts = [m for m in imports(name) if within(m, *(f"ganduel.{g}" for g in CONCRETE))]
    assert [m for m in parts if not m.endswith((".base", "model.packing", "model.unrolled"))] == []


@pytest.mark.parametrize("name", ours("callback", "tracking", "metric"))
def test_what_watches_a_run_does_not_know_it(name):
    assert [
        m for m in imports(name) if within(m, *(f"ganduel.{top}" for top in ("run.run", "run.app", "factory", "cli")))
    ] == []


def test_only_the_entry_points_import_the_run():
    importers = {name for name in MODULES if "ganduel.run.run" in imports(name)}
    assert importers <= {
        "ganduel.run.worker",
        "ganduel.run.train",
        "ganduel.population.callback",
        "ganduel.population.member",
        "ganduel.population.trainer",
        "ganduel.population.training",
    }
    assert "from ganduel.run.main import main" in (ROOT / "train.py").read_text(encoding="utf-8")


def test_the_algorithm_knows_neither_engines_nor_populations():
    """Directly or by a detour: one page of plain PyTorch and Lightning, on which a run's step has its source line."""
    assert [m for m in closure("ganduel.gan") if within(m, *(f"ganduel.{g}" for g in ("engine", "population")))] == []
    assert [m for m in closure("ganduel.gan") if within(m, "hydra", "omegaconf", "wandb", "rich")] == []
    assert len(MODULES["ganduel.gan"].read_text(encoding="utf-8").splitlines()) <= 160


def test_engines_are_reached_through_build_alone():
    """By name, when they are asked for: so that the package may be reduced to eager.py."""
    importers = {name for name in MODULES if any(within(m, "ganduel.engine") for m in imports(name))}
    assert [name for name in importers if not within(name, "ganduel.engine")] == []
    named = {name for name, path in MODULES.items() if '"ganduel.engine.' in path.read_text(encoding="utf-8")}
    assert {name for name in named if not within(name, "ganduel.engine")} == {"ganduel.factory.gan"}
    assert [m for m in imports("ganduel.engine.eager") if within(m, "ganduel.engine")] == []
