"""Imports point down only, so that a part can be read, tested and replaced alone."""

import pytest
from module_imports import MODULES, SOURCE, closure, imports, ours, within


def test_the_walk_sees_what_is_there():
    """Else all below would hold of nothing."""
    assert "ganduel.gan" in MODULES
    assert {"torch", "ganduel.batch", "ganduel.loss.base"} <= imports("ganduel.gan")
    assert "lightning.pytorch" in closure("ganduel.run.run")


PLAIN = (
    "types",
    "errors",
    "rng",
    "ranks",
    "ema",
    "schedule",
    "batch",
    "optim",
    "loss",
    "penalty",
    "augment",
    "condition",
    "model",
    "data",
    "metric.functional",
)


@pytest.mark.parametrize("name", ours(*PLAIN))
def test_parts_are_plain_torch(name):
    """No Lightning, no Hydra, no W&B, directly or by a detour: what vmap, a notebook or a test can use as it is."""
    assert [m for m in closure(name) if within(m, "lightning", "hydra", "omegaconf", "wandb", "rich")] == []


# What each may import of ours, at any depth of its functions; itself always.
BELOW = {
    "types": [],
    "errors": [],
    "atomic": ["errors"],
    "environment": [],
    "rng": [],
    "ranks": [],
    "ema": ["errors", "model.base"],
    "optim": ["types"],
    "schedule": ["errors"],
    "plot": [],
    "distributed": ["environment", "errors"],
    "checkpoint": ["errors", "atomic"],
    "checkpoint_io": ["checkpoint"],
    "loss": ["types", "errors", "ranks"],
    "model": ["types", "errors", "ranks", "rng"],
    "data": ["types", "errors", "rng", "ranks", "environment", "atomic"],
    "augment": ["types", "errors", "rng", "ranks"],
    "condition": ["types", "errors", "loss.base", "model.base"],
    "batch": ["types", "rng", "data.base", "model.base"],
    "penalty": ["types", "errors", "ranks", "augment.transforms", "batch", "model.base"],
    "image_grid": ["types", "errors", "data.base", "data.check"],
    "metric": ["types", "errors", "rng", "image_grid", "data.base", "data.check", "data.labelled", "model.base"],
    "tracking": ["errors", "environment", "atomic"],
    "block": ["errors"],
    "gan": [
        "types",
        "batch",
        "block",
        "optim",
        "ema",
        "ranks",
        "loss.base",
        "penalty.base",
        "augment.base",
        "model.base",
        "model.unrolled",
    ],
    "engine": ["errors", "batch", "block", "distributed", "gan", "model.base"],
    "factory": [
        "errors",
        "rng",
        "batch",
        "condition.base",
        "gan",
        "optim",
        "ema",
        "distributed",
        "data.base",
        "model.base",
        "model.packing",
    ],
    "trust": ["errors"],
    "callback": [
        "errors",
        "rng",
        "batch",
        "block",
        "gan",
        "checkpoint",
        "compare.reading",
        "doctor",
        "image_grid",
        "plot",
        "loss.base",
        "model.base",
        "metric",
        "tracking",
    ],
    "doctor": ["errors", "compare", "data.base", "data.check", "image_grid", "model.base"],
    "run": [
        "errors",
        "environment",
        "factory",
        "callback",
        "checkpoint",
        "checkpoint_io",
        "data.base",
        "distributed",
        "gan",
        "image_grid",
        "metric.registry",
        "model.base",
        "population",
        "rng",
        "tracking",
        "trust",
    ],
    "population": [
        "errors",
        "environment",
        "rng",
        "ema",
        "optim",
        "batch",
        "block",
        "gan",
        "loss.base",
        "penalty.base",
        "augment.base",
        "model.base",
        "data.base",
        "factory",
        "callback",
        "checkpoint",
        "checkpoint_io",
        "distributed",
        "run",
        "tracking.files",
        "tracking.run_logger",
        "tracking.secrets",
    ],
    "compare": [
        "errors",
        "atomic",
        "tracking.files",
        "tracking.run_name",
        "tracking.secrets",
        "tracking.wandb_session",
    ],
    "trained": [
        "types",
        "errors",
        "rng",
        "factory",
        "checkpoint",
        "data.base",
        "image_grid",
        "model.base",
        "run.schema",
        "trust",
    ],
    "command": [
        "types",
        "errors",
        "rng",
        "atomic",
        "batch",
        "factory",
        "checkpoint",
        "compare",
        "data.base",
        "doctor",
        "image_grid",
        "loss",
        "metric",
        "model.base",
        "model.packing",
        "penalty.base",
        "plot",
        "run.schema",
        "tracking.files",
        "trained",
        "trust",
    ],
    "export": [
        "errors",
        "compare.reading",
        "data.base",
        "image_grid",
        "metric.evaluation",
        "model.base",
        "trained",
    ],
    "cli": ["errors", "command", "export", "compare.command", "run.app", "run.explain", "run.main"],
    "__main__": ["cli"],
}


def test_every_module_has_a_layer():
    assert [name for name in MODULES if name != "ganduel" and not within(name, *(f"ganduel.{b}" for b in BELOW))] == []


@pytest.mark.parametrize("layer", BELOW)
def test_imports_point_down(layer):
    allowed = [f"ganduel.{name}" for name in (layer, *BELOW[layer])]
    for name in ours(layer):
        up = [m for m in imports(name) if within(m, "ganduel") and not within(m, *allowed)]
        assert up == [], f"{name} imports {up}"


@pytest.mark.parametrize("name", ours("compare"))
def test_a_comparison_waits_for_nothing_heavy(name):
    """It reads files: where runs were copied to there may be no torch, and plotly is text in a page."""
    heavy = ("torch", "lightning", "hydra", "omegaconf", "wandb", "wandb_workspaces", "matplotlib", "plotly", "PIL")
    assert [m for m in closure(name) if within(m, *heavy)] == []


@pytest.mark.parametrize("name", ours("compare"))
def test_only_the_workspace_of_a_comparison_knows_wandb(name):
    """Not until it is asked for: its imports are inside its functions."""
    known = {m.split(".")[0] for m in imports(name) if within(m, "wandb", "wandb_workspaces")}
    session = "ganduel.tracking.wandb_session" in imports(name)
    is_workspace = name == "ganduel.compare.workspace"
    assert (known, session) == ({"wandb", "wandb_workspaces"} if is_workspace else set(), is_workspace)


def test_the_tree_is_easy_to_look_over():
    """At most twenty modules at its root, and no file so long that it holds two ideas."""
    assert len([path for path in SOURCE.glob("*.py") if not path.stem.startswith("__")]) <= 20
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: n for name, n in lengths.items() if n > 300} == {}


def test_a_typo_is_answered_before_torch_is_imported():
    """app.py and all it needs; torch and Lightning take seconds."""
    assert [m for m in closure("ganduel.run.app") if within(m, "torch", "lightning", "wandb", "numpy", "PIL")] == []


def test_a_generator_is_loaded_without_lightning():
    """Its import takes longer than torch's; a service draws samples and trains nothing."""
    assert [m for m in closure("ganduel.command.sample") if within(m, "lightning", "wandb", "torchmetrics")] == []


def test_nothing_imports_a_script_or_a_test():
    for name in MODULES:
        assert [m for m in imports(name) if within(m, "scripts", "tests", "benchmarks", "train")] == [], name


def test_there_are_no_circles():
    """Lazy imports count: one inside a function is no way out of a circle."""
    done = set()

    def visit(name, path):
        assert name not in path, " → ".join([*path, name])
        if name not in done:
            for other in sorted(imports(name) & MODULES.keys()):
                visit(other, (*path, name))
            done.add(name)

    for name in sorted(MODULES):
        visit(name, ())
