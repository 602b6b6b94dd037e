"""Errors explained in one line: the option, what is wrong with it, and the nearest valid one; or the user's own line.

An error is the user's if the user typed what cannot be, or if it arose in the user's code as ganduel called it: below a
line of a file that is neither ganduel's nor an installed library's.
"""

import errno
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationKeyError,
    OmegaConfBaseException,
    ValidationError,
)
from yaml import YAMLError

from ganduel.errors import UserError, nearest, summary_of, typed
from ganduel.run.retired import retired_choice, retired_option
from ganduel.tracking.secrets import without_secrets

PACKAGE = Path(__file__).parents[1]
LINK = PACKAGE / "conf"  # to conf/ at the top of a checkout, where git makes links; in a wheel the folder itself
CONF = (LINK if LINK.is_dir() else PACKAGE.parents[1] / "conf").resolve()
APP = str(PACKAGE / "run" / "app.py")
LIBRARIES = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}

# Errors of a file that are explained as errors of the run folder.
FOLDER_ERRORS = (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EPERM, errno.EFBIG)
GROUPS = (
    "loss",
    "penalty",
    "penalty_g",
    "augment",
    "condition",
    "model",
    "data",
    "optimizer",
    "schedule",
    "trainer",
    "callback",
    "metric",
    "tracking",
    "experiment",
)
TYPE_NAMES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}


def explain(error: BaseException) -> str | None:
    """What the user did wrong, in one line; None if the error is not the user's."""
    first = first_with_user_code(error)
    place = "" if first is None else f" ({location(first)})."
    for cause in causes(error):
        if isinstance(cause, UserError):
            return str(cause).rstrip(".") + place if place else str(cause)
    if first is not None:
        return summary_of(first) + place
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno in FOLDER_ERRORS:
            return f"{cause.strerror}: {cause.filename or 'the run folder'}. Choose another folder with hydra.run.dir=."
        if isinstance(cause, YAMLError):
            return bad_yaml(cause)
    if isinstance(error, MissingConfigException):
        return missing_choice(error)
    if isinstance(error, OverrideParseException):
        return bad_override(error)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return bad_value(error)
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be a string or a list"):
        overrides = [argument for argument in sys.argv[1:] if argument.partition("=")[0] in GROUPS]
        overrides = [override for override in overrides if override.endswith("=null")] or overrides
        which = ", ".join(overrides) or "the overrides"
        return f"a group takes the name of a choice: one of {which} names none. Leave it out, or see --help."
    return None


def trace(error: BaseException) -> str:
    """The lines of the traceback that help: from the user's code on, or all if the fault is the program's."""
    if explain(error) is None:
        return without_secrets("".join(traceback.format_exception(error)))
    if any(isinstance(cause, UserError) for cause in causes(error)) or (cause := first_with_user_code(error)) is None:
        return ""
    return without_secrets("".join(traceback.format_exception(type(cause), cause, user_code(cause))))


def location(error: BaseException) -> str:
    """The innermost line of the user's code that the error arose in, or below."""
    frame, line = [(frame, line) for frame, line in traceback.walk_tb(user_code(error)) if is_users(frame)][-1]
    file = Path(frame.f_code.co_filename)
    file = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{frame.f_code.co_qualname}, {file}, line {line}"


def first_with_user_code(error: BaseException) -> BaseException | None:
    """The first in the chain of causes that arose in the user's code."""
    return next((cause for cause in [*causes(error)][::-1] if user_code(cause) is not None), None)


def user_code(error: BaseException) -> TracebackType | None:
    """The traceback from where ganduel called the user's code; None: it did not."""
    inside, start, tb = False, None, error.__traceback__
    while tb is not None:
        code = tb.tb_frame.f_code
        if code.co_filename == APP:
            inside, start = code.co_name != "run", None  # which calls Hydra, and that calls `job`
        elif Path(code.co_filename).is_relative_to(PACKAGE):
            inside = True
        elif inside and start is None and is_users(tb.tb_frame):
            start = tb
        tb = tb.tb_next
    return start


def is_users(frame: FrameType) -> bool:
    """Whether the code is in a file that is neither ganduel's nor a library's."""
    file = Path(frame.f_code.co_filename)
    return file.is_file() and not any(file.is_relative_to(folder) for folder in (PACKAGE, *LIBRARIES))


def folder_error(error: BaseException, option: str, folder: Path | None) -> str | None:
    """The line for a folder of a run or a sweep that cannot be created; None for any other error."""
    if not isinstance(error, OSError) or folder is None or error.filename is None:
        return None
    failed = Path(os.path.abspath(error.filename))
    folder = Path(os.path.abspath(folder))
    if failed != folder and failed not in folder.parents:
        return None
    return f"{option}={folder} cannot be made: {error.strerror}: {error.filename}. Choose another folder."


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, its cause, the cause of that, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def missing_choice(error: MissingConfigException) -> str:
    """The line for a group without such a choice."""
    group, _, choice = (error.missing_cfg_file or "").rpartition("/")
    if not group:
        return first_line(error)
    if group in ("hydra/launcher", "hydra/sweeper") and choice in EXTRAS:
        return f"{group}={choice} is not installed: pip install 'ganduel[{EXTRAS[choice]}]'"
    if line := retired_choice(group, choice):
        return line
    options = error.options or choices(group, str(error))
    return f"{group}={choice} is not a choice. " + (nearest(choice, options) if options else f"{group} has none.")


# Hydra's plugins, and the extras of this package that install them.
EXTRAS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit", "ray": "ray"}


def choices(group: str, message: str) -> list[str]:
    """The choices of a group, in the folders that Hydra's message lists as searched."""
    folders = [Path(path) / group for path in re.findall(r"path=file://(.+)", message)]
    return sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})


def bad_override(error: OverrideParseException) -> str:
    """The line for an argument that is not an override."""
    if "=" not in error.override and not error.override.startswith("~"):
        return f"{error.override} cannot be parsed: options are given as name=value. See --help."
    key, _, value = error.override.partition("=")
    advice = f"Quote values with brackets or spaces; a text is typed as {typed(key, value)}."
    return f"{error.override} cannot be parsed: {first_line(error)}. {advice}"


def bad_yaml(error: YAMLError) -> str:
    """The line for a file that is not YAML."""
    mark = getattr(error, "problem_mark", None)
    source = "a config file" if mark is None else f"{mark.name}, line {mark.line + 1},"
    return f"{source} is not YAML: {getattr(error, 'problem', None) or first_line(error)}."


def bad_value(error: BaseException) -> str:
    """The line for a key or a value that the config does not take."""
    match = re.fullmatch(r"Error merging override (\w+)=(.*)", first_line(error))
    if match and match[1] in GROUPS:  # a group without a config folder, as penalty_g
        return f"{match[1]}={match[2]} is not a choice: there is none in the config folders. Add yours: --config-dir."
    for cause in causes(error):
        key = getattr(cause, "full_key", None)
        if isinstance(cause, InterpolationKeyError):
            name = re.sub(r".*'(.+)'.*", r"\1", first_line(cause))
            return f"the config needs a value of {name}, which it does not have. Set {name}; don't remove it by ~."
        if isinstance(cause, ConfigKeyError | ConfigAttributeError):
            return unknown_key(cause)
        if isinstance(cause, ValidationError):
            line = first_line(cause)
            if match := re.fullmatch(r"Value '(.*)' of type '.*' could not be converted to (\w+)", line):
                return f"{key}={match[1]} is not {TYPE_NAMES.get(match[2], match[2])}."
            if match := re.fullmatch(r"Value '(.*)' is not a valid bool.*", line):
                return f"{key}={match[1]} is not true or false."
            if match := re.fullmatch(r"Invalid type assigned: .* value: (.*)", line):
                return f"{key}={match[1]} cannot be: {key} has options of its own, such as {key}.…=. See --cfg job."
            if line.endswith("is not Optional"):
                return f"{key}=null cannot be: {key} needs a value."
            return f"{key}: {line}."
    line = first_line(error)
    if match := re.match(r"Ambiguous value for argument '(.*)'", line):
        key, _, values = match[1].partition("=")
        one = f", or {typed(key, values)} for one text with a comma" if "/" in values else ""
        return f"{match[1]} gives several values: add -m for a run with each, or write [{values}] for a list{one}."
    if match := re.match(r"Could not override '(.*)'\.", line):
        return f"{match[1] or 'a word without a name'} is not an option or a group. See --help."
    return line


def unknown_key(error: OmegaConfBaseException) -> str:
    """The line for a key that the config does not have: the nearest on the same level, or the choices that have it."""
    full_key, key = str(error.full_key), str(error.key)
    if line := retired_option(full_key):
        return line
    known = (
        [str(k) for k in error.parent_node if not str(k).startswith("_")]
        if isinstance(error.parent_node, DictConfig)
        else []
    )
    advice = nearest(key, known) if known else "See --help."
    if choices_with_it := choices_with(full_key):
        verb = "has" if len(choices_with_it) == 1 else "have"
        advice = f"{' and '.join(choices_with_it)} {verb} it: add {choices_with_it[0]}."
    return f"{full_key} is not an option. {advice}"


def choices_with(full_key: str) -> list[str]:
    """The choices that have the key, as overrides to type, such as penalty=r1 for penalty.r1.gamma."""
    group, *keys = full_key.split(".")
    overrides = []
    for file in sorted((CONF / group).glob("*.yaml")):
        node = yaml.safe_load(file.read_text(encoding="utf-8"))
        for key in keys:
            node = node.get(key) if isinstance(node, dict) else None
        if keys and node is not None:
            overrides.append(f"{group}={file.stem}")
    return overrides


def first_line(error: BaseException) -> str:
    """The first line of the error's message, without a full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
