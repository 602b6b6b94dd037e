"""Imports point down only, so that a part can be read, tested and replaced alone."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "ganduel"


def name_of(path):
    """ganduel/loss/base.py is ganduel.loss.base; a package is its __init__."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in SOURCE.rglob("*.py")}


def nodes(tree, lazy):
    """Import statements; those inside functions, which run later or never, only on request."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from nodes(node, lazy)


@cache
def imports(name, lazy=True):
    """What a module names in its import statements, as modules where they are modules of ours."""
    modules = set()
    for node in nodes(ast.parse(MODULES[name].read_text(encoding="utf-8")), lazy):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, f"{name} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            modules |= {full if full in MODULES else node.module for full in inner}
    return frozenset(modules)


def closure(name):
    """All that importing a module imports, ours and others' by name; not what its functions import when they run."""
    seen, todo = set(), [name]
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            if module in MODULES:
                packages = [module.rsplit(".", n)[0] for n in range(1, module.count(".") + 1)]
                todo += [*imports(module, lazy=False), *packages]
    return seen


def within(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def ours(*groups):
    return sorted(name for name in MODULES if within(name, *(f"ganduel.{group}" for group in groups)))


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
    "loss": ["types", "errors", "ranks"],
    "model": ["types", "errors", "rng"],
    "data": ["types", "errors", "rng", "environment"],
    "augment": ["types", "errors", "rng", "ranks"],
    "condition": ["types", "errors", "loss.base", "model.base"],
    "batch": ["types", "rng", "data.base", "model.base"],
    "penalty": ["types", "errors", "ranks", "augment.transforms", "batch", "model.base"],
    "image_grid": ["types", "errors", "data.base", "data.check"],
    "metric": ["types", "errors", "rng", "image_grid", "data.base", "data.check", "model.base"],
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
    ],
    "engine": ["errors", "batch", "block", "distributed", "gan", "model.base"],
    "build": [
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
    "trust": [
        "errors",
        "loss.base",
        "penalty.base",
        "augment.base",
        "condition.base",
        "model.base",
        "data.base",
        "metric.base",
        "tracking.base",
    ],
    "callback": [
        "errors",
        "rng",
        "batch",
        "block",
        "gan",
        "checkpoint",
        "image_grid",
        "plot",
        "loss.base",
        "model.base",
        "metric",
        "tracking",
    ],
    "run": [
        "errors",
        "environment",
        "build",
        "callback",
        "checkpoint",
        "data.base",
        "distributed",
        "gan",
        "image_grid",
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
        "build",
        "callback",
        "checkpoint",
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
    "command": [
        "types",
        "errors",
        "rng",
        "atomic",
        "batch",
        "build",
        "checkpoint",
        "compare",
        "data.base",
        "image_grid",
        "loss",
        "metric",
        "model.base",
        "penalty.base",
        "plot",
        "run.schema",
        "tracking.files",
        "trust",
    ],
    "cli": ["errors", "command", "compare.command", "run.app", "run.explain"],
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


TRAINING = ("batch", "block", "optim", "gan", "engine", "build", "run", "population")


CONCRETE = ("loss", "penalty", "augment", "condition", "model", "data")


@pytest.mark.parametrize("name", ours(*TRAINING, "callback", "tracking", "checkpoint"))
def test_no_concrete_part_is_named(name):
    """Parts come in by their configs; a new loss touches its module, its config file and its test.

    A packed D is around any.
    """
    parts = [m for m in imports(name) if within(m, *(f"ganduel.{g}" for g in CONCRETE))]
    assert [m for m in parts if not m.endswith((".base", "model.packing"))] == []


@pytest.mark.parametrize("name", ours("callback", "tracking", "metric"))
def test_what_watches_a_run_does_not_know_it(name):
    assert [
        m for m in imports(name) if within(m, *(f"ganduel.{top}" for top in ("run.run", "run.app", "build", "cli")))
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
    assert "from ganduel.run.train import train" in (ROOT / "train.py").read_text(encoding="utf-8")


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
    assert {name for name in named if not within(name, "ganduel.engine")} == {"ganduel.build"}
    assert [m for m in imports("ganduel.engine.eager") if within(m, "ganduel.engine")] == []


def test_the_tree_is_easy_to_look_over():
    """At most twenty modules at its root, and no file so long that it holds two ideas."""
    assert len([path for path in SOURCE.glob("*.py") if path.stem != "__init__"]) <= 20
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: n for name, n in lengths.items() if n > 300} == {}


def test_a_typo_is_answered_before_torch_is_imported():
    """app.py and all it needs; torch and Lightning take seconds."""
    assert [m for m in closure("ganduel.run.app") if within(m, "torch", "lightning", "wandb", "numpy", "PIL")] == []


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
