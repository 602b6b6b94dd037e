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
    found = set()
    for node in nodes(ast.parse(MODULES[name].read_text(encoding="utf-8")), lazy):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, f"{name} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {full if full in MODULES else node.module for full in inner}
    return frozenset(found)


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
    assert {"torch", "ganduel.rng", "ganduel.loss.base"} <= imports("ganduel.gan")
    assert "lightning.pytorch" in closure("ganduel.run.run")


PLAIN = (
    "types",
    "errors",
    "rng",
    "ema",
    "schedule",
    "loss",
    "penalty",
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
    "ema": ["errors"],
    "schedule": ["errors"],
    "loss": ["types", "errors"],
    "penalty": ["types", "errors"],
    "model": ["types", "errors", "rng"],
    "data": ["types", "errors", "rng", "environment"],
    "metric": ["types", "errors", "rng", "image_grid", "data.base", "model.base"],
    "plot": [],
    "distributed": ["errors"],
    "checkpoint": ["errors", "atomic"],
    "image_grid": ["types", "errors", "rng", "data.base"],
    "tracking": ["types", "errors", "environment", "atomic", "rng", "image_grid"],
    "algorithm": ["errors", "engine"],
    "loop": [],
    "engine": ["model.base"],
    "places": [],
    "onednn": [],
    "products": ["onednn", "places"],
    "replay": ["onednn", "engine", "places", "products"],
    "gan": [
        "types",
        "errors",
        "rng",
        "algorithm",
        "loop",
        "engine",
        "onednn",
        "replay",
        "ema",
        "distributed",
        "loss.base",
        "penalty.base",
        "model.base",
        "data.base",
    ],
    "build": ["errors", "rng", "gan", "ema", "data.base", "model.base"],
    "callback": [
        "errors",
        "rng",
        "gan",
        "loop",
        "engine",
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
        "atomic",
        "build",
        "callback",
        "checkpoint",
        "data.base",
        "distributed",
        "gan",
        "population",
        "tracking",
    ],
    "population": [
        "errors",
        "environment",
        "algorithm",
        "ema",
        "rng",
        "loop",
        "gan",
        "engine",
        "loss.base",
        "model.base",
        "data.base",
        "build",
        "callback",
        "checkpoint",
        "distributed",
        "run",
        "tracking.files",
        "tracking.run_logger",
    ],
    "compare": ["errors", "atomic", "tracking.files", "tracking.run_name", "tracking.wandb_session"],
    "command": [
        "types",
        "errors",
        "rng",
        "atomic",
        "build",
        "checkpoint",
        "compare",
        "data.base",
        "image_grid",
        "loss",
        "metric",
        "model.base",
        "plot",
        "run.schema",
        "tracking.files",
    ],
}


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
    mine = name == "ganduel.compare.workspace"
    assert (known, session) == ({"wandb", "wandb_workspaces"} if mine else set(), mine)


TRAINING = ("algorithm", "gan", "build", "run", "population")


@pytest.mark.parametrize("name", ours(*TRAINING, "callback", "tracking", "checkpoint"))
def test_no_concrete_part_is_named(name):
    """Parts come in by their configs; a new loss touches its module, its config file and its test."""
    concrete = [m for m in imports(name) if within(m, *(f"ganduel.{g}" for g in ("loss", "penalty", "model", "data")))]
    assert [m for m in concrete if not m.endswith(".base")] == []


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
        "ganduel.population.together",
        "ganduel.population.training",
    }
    assert "from ganduel.run.train import train" in (ROOT / "train.py").read_text(encoding="utf-8")


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
