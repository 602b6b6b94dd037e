"""One name, three places: conf/GROUP/NAME.yaml, ganduel/GROUP/NAME.py, tests/GROUP/test_NAME.py."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONF, SOURCE, TESTS = ROOT / "conf", ROOT / "src" / "ganduel", ROOT / "tests"
GROUPS = ("loss", "penalty", "penalty_g", "augment", "condition", "model", "data", "metric")
PACKAGES = {"penalty_g": "penalty"}  # of G: modules like those of D's
# What choices are made of.
SHARED = {"ganduel.data.mixture", "ganduel.data.parts",
          "ganduel.data.loader",  # of scripts: a config cannot describe a loader
          "ganduel.metric.features", "ganduel.metric.registry", "ganduel.metric.evaluation",
          "ganduel.metric.labelled", "ganduel.metric.efficientnet_lite0",
          "ganduel.model.dropout", "ganduel.model.residual", "ganduel.model.attention", "ganduel.model.equalised",
          "ganduel.model.minibatch_std", "ganduel.model.modulated", "ganduel.model.packing",
          "ganduel.model.unrolled",
          "ganduel.condition.generator", "ganduel.condition.head"}  # fmt: skip
CHOICES = sorted(path for group in GROUPS for path in (CONF / group).glob("*.yaml"))
MODULES = sorted(
    path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if path.stem not in ("__init__", "base", "types")
)
ELSEWHERE = {
    "run/worker.py": "test_ranks.py",  # its two lines run only where there are several
    "__main__.py": "run/test_main.py",
}


def targets(node):
    """All `_target_`s of a config file, nested ones included."""
    if isinstance(node, dict):
        return [target for value in node.values() for target in targets(value)] + [
            value for key, value in node.items() if key == "_target_"
        ]
    return []


@pytest.mark.parametrize("path", CHOICES, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_a_choice_is_the_module_and_the_test_of_its_name(path):
    group = PACKAGES.get(path.parent.name, path.parent.name)
    modules = {target.rpartition(".")[0] for target in targets(yaml.safe_load(path.read_text(encoding="utf-8")))}
    assert modules == {f"ganduel.{group}.{path.stem}"}
    assert (SOURCE / group / f"{path.stem}.py").is_file()
    assert (TESTS / group / f"test_{path.stem}.py").is_file(), f"tests/{group}/test_{path.stem}.py is missing"


def test_a_choice_says_what_it_is_in_one_line():
    """A comment, the first in the file: with the paper, where there is one."""
    for path in sorted(CONF.glob("*/*.yaml")):
        comments = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("# @package")]
        assert re.match("# .{10}", comments[0]), f"{path.relative_to(ROOT)} does not begin with a comment"


def test_every_part_can_be_chosen():
    """A module of a part without a config file is out of reach of the command line."""
    reachable = {target.rpartition(".")[0] for path in CHOICES for target in targets(yaml.safe_load(path.read_text()))}
    classes = {
        f"ganduel.{group}.{path.stem}"
        for group in GROUPS
        for path in (SOURCE / group).glob("*.py")
        if path.stem not in ("__init__", "base") and re.search(r"^class \w+\(", path.read_text(encoding="utf-8"), re.M)
    }
    assert sorted(classes - reachable - SHARED) == []


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_has_a_test_of_its_name(module):
    test = ELSEWHERE.get(str(module), module.parent / f"test_{module.name}")
    assert (TESTS / test).is_file(), f"tests/{test} is missing"


def has_module(test):
    """Whether there is the module that a test is named after: test_M.py and test_M_idea.py are of M.py."""
    words = test.stem.split("_")[1:]
    return any((SOURCE / test.parent / f"{'_'.join(words[:n])}.py").is_file() for n in range(1, len(words) + 1))


def test_a_test_of_a_package_has_its_module():
    """Tests of what is gone go too."""
    packages = [path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()]
    tests = [path.relative_to(TESTS) for package in packages for path in (TESTS / package).rglob("test_*.py")]
    assert [str(test) for test in tests if not has_module(test)] == []
