"""The error that a user's own input causes: one line that says what was found and what to type instead."""

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

MAX_LISTED = 10  # names in a message


class UserError(ValueError):
    """Something that the user typed or supplied cannot work; shown as one line, without a stack trace."""


class Diverged(UserError):
    """A loss or a gradient became NaN or infinite: this combination of settings cannot go on."""


def summary_of(error: BaseException) -> str:
    """The error's type and the first line of its message, without a full stop."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]]).rstrip(".")


def nearest(name: str, choices: Iterable[str], few: Iterable[str] = ()) -> str:
    """Words that help with a mistyped name: the nearest of the choices, or else a few of them, or all."""
    choices = sorted(choices)
    close = get_close_matches(name, choices, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"There are: {', '.join(sorted(few) or choices)}."


def quoted(text: str) -> str:
    """A text in Hydra's grammar: in quotes if it has a character with a meaning there, such as = or a comma."""
    if re.fullmatch(r"[\w./+-]+", text, re.ASCII):
        return text
    return '"' + re.sub(r'(\\*)("|$)', lambda end: end[1] * 2 + end[2].replace('"', '\\"'), text) + '"'


def typed(key: str, value: object) -> str:
    """An override as one types it in a shell: resume='"multirun/mine/k=2,seed=3"'."""
    return f"{key}={shlex.quote(quoted(str(value)))}"


def program() -> str:
    """How training was started, for lines that say what to type next."""
    return "python train.py" if Path(sys.argv[0]).name == "train.py" else "ganduel train"


def listed(names: Sequence[str]) -> str:
    """The first of the names, and the number of the others."""
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def printable(path: Path | str) -> str:
    """A path, or a part of one, on one line in printable characters."""
    return str(path) if str(path).isprintable() else repr(str(path))
