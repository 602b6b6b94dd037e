"""The package's public names, which cost nothing until they are used."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import ganduel


def test_importing_the_package_imports_nothing_heavy():
    """A script that only asks for the version, or an editor, need not wait for torch."""
    code = "import sys, ganduel; print(ganduel.__version__, *{'torch', 'lightning', 'numpy'} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == [version("ganduel")]


def test_public_names_are_found_where_they_are_defined():
    names = [name for name in dir(ganduel) if name[0].isupper() and name != "Any"]
    assert {"GAN", "Batches", "TensorData", "Loss", "Penalty", "Generator", "UserError"} <= set(names)
    assert ganduel.load.__module__ == "ganduel.trained.load"
    assert [name for name in names if not getattr(ganduel, name).__module__.startswith("ganduel.")] == []
    with pytest.raises(AttributeError, match="module 'ganduel' has no attribute 'Gan'"):
        ganduel.Gan  # noqa: B018
