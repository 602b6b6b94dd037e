"""Scripts as modules, for as long as a test needs them."""

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@contextmanager
def imported(name: str) -> Iterator[types.ModuleType]:
    """A script; it and those that it imports are forgotten afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        yield importlib.import_module(name)
        for path in SCRIPTS.glob("*.py"):
            sys.modules.pop(path.stem, None)
