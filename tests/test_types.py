"""Every shape that is written in the package is checked while the tests run."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
OPTION = "--jaxtyping-packages="


def test_shapes_are_checked():
    """By pytest's option, in each module that names some; a package is checked with all that is in it."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    listed = next(word for word in options["addopts"] if word.startswith(OPTION)).removeprefix(OPTION).split(",")
    *checked, checker = (tuple(name.split(".")) for name in listed)
    assert checker == ("beartype", "beartype")
    sources = ROOT / "src" / "ganduel"
    names = {path: ("ganduel", *path.relative_to(sources).with_suffix("").parts) for path in sources.rglob("*.py")}
    words = ("from jaxtyping import", "from ganduel.types import")
    shaped = {name for path, name in names.items() if any(word in path.read_text(encoding="utf-8") for word in words)}
    shaped.remove(("ganduel", "types"))  # names, and no function
    assert {name for name in shaped if not any(name[: len(one)] == one for one in checked)} == set()
    assert {one for one in checked if not any(name[: len(one)] == one for name in shaped)} == set()
