"""Words that help: the nearest name where one is near, all of them where none is."""

from ganduel.errors import Diverged, UserError, nearest

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
