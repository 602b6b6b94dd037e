"""Which modules of the package import which, by their text."""

import ast
from functools import cache
from pathlib import Path

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
    """What a module names in its import statements, as modules where they are the package's."""
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
