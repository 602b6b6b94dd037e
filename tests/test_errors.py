"""Words that help: the nearest name where one is near, all of them where none is."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ganduel.errors import Diverged, UserError, listed, nearest, printable, typed

LOSSES = ["saturating", "nonsaturating", "wgan"]


def test_a_slip_is_answered_with_what_was_meant():
    assert nearest("saturing", LOSSES).startswith("Did you mean saturating")
    assert nearest("wagn", LOSSES) == "Did you mean wgan?"


def test_a_name_like_none_is_answered_with_all():
    assert nearest("xyz", LOSSES) == "There are: nonsaturating, saturating, wgan."


def test_choices_may_be_any_iterable():
    assert nearest("k", {"k": 1, "seed": 2}) == "Did you mean k?"
    assert nearest("zz", iter(["a"])) == "There are: a."


def test_kinds():
    """Code that catches ValueError sees them; a diverged run can be told from a mistyped one."""
    assert issubclass(UserError, ValueError)
    assert issubclass(Diverged, UserError)


PATHS = (
    "runs/a-1.5+b",
    "multirun/x/k=0,seed=3",
    'a "quoted" one',
    "it's",
    "back\\slash",
    "back\\",
    'x\\\\"',
    "é/ü",
    "a b",
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_is_printed_can_be_pasted(path: str):
    """A shell takes it for one word, and Hydra's grammar for that text."""
    (word,) = shlex.split(typed("resume", path))
    (override,) = OverridesParser.create().parse_overrides([word])
    assert (override.key_or_group, override.value()) == ("resume", path)


def test_a_plain_path_needs_no_quotes():
    assert typed("resume", "runs/2026-01-31/12-00-00-nonsaturating") == "resume=runs/2026-01-31/12-00-00-nonsaturating"


def test_long_lists_are_cut_off():
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(i) for i in range(13)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more"


def test_names_of_files_stay_on_one_line():
    assert [printable("é a"), printable("a\nb")] == ["é a", "'a\\nb'"]
