"""docs/zoo.md has a row for each choice that there is, with its file and the cost that was measured."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
COSTS = json.loads((ROOT / "benchmarks" / "zoo_cpu.json").read_text(encoding="utf-8"))
ROWS = {
    words: [cell.strip() for cell in cells.split("|")]
    for words, cells in re.findall(r"(?m)^[|] `([^`]*)` [|](.*)[|]$", PAGE)
}
LISTS = ("penalty", "penalty_g")
CHOICES = [
    (group, path.stem)
    for group in ("loss", *LISTS, "augment", "model", "condition")
    for path in sorted((ROOT / "conf" / group).glob("*.yaml"))
]


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_a_choice_has_a_row_with_its_file(group: str, name: str):
    cells = ROWS[f"{group}=[{name}]" if group in LISTS else f"{group}={name}"]
    assert f"[{name}.py](../src/ganduel/{group.removesuffix('_g')}/{name}.py)" in cells


def test_costs_are_those_that_were_measured():
    costs = {words: float(cells[-1]) for words, cells in ROWS.items() if not words.startswith("model=")}
    reference = {"loss=nonsaturating", "augment=none", "condition=none"}
    measured = {words: round(ratio, 2) for words, ratio in COSTS["ratio"].items() if words != "penalty=[]"}
    assert costs == measured | dict.fromkeys(reference, 1.0)
    assert f"{COSTS['step']['penalty=[]']:.0f} ms), measured" in PAGE


def test_sizes_of_networks_are_those_that_were_counted():
    for name, size in COSTS["networks"].items():
        weights, operations = (cell.split(" and ") for cell in ROWS[f"model={name}"][-2:])
        assert weights == [f"{n:,}" for n in size["weights"]]
        assert operations == [f"{n / 1e6:,.1f}" for n in size["operations"]]


def test_no_file_that_is_named_is_missing():
    named = re.findall(r"`((?:src|conf|docs|tests|scripts|benchmarks)/[\w./]*)`", PAGE)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
