"""Errors in a user's words: one line that names the option, what is wrong with it, and the nearest that would do."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

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

from ganduel.errors import UserError, nearest
from ganduel.run.retired import retired_choice, retired_option

# What these say of a file is said of the folder that the user chose for the run.
FOLDER = (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EPERM)
GROUPS = (
    "loss",
    "penalty",
    "penalty_g",
    "augment",
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
WORDS = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}


def explain(error: BaseException) -> str | None:
    """What the user did wrong, in one line; None if the fault is not the user's."""
    for cause in causes(error):
        if isinstance(cause, UserError):
            return str(cause)
        if isinstance(cause, OSError) and cause.errno in FOLDER:
            return f"{cause.strerror}: {cause.filename or 'the run folder'}. Choose another folder with hydra.run.dir=."
        if isinstance(cause, YAMLError):
            return bad_yaml(cause)
    if isinstance(error, MissingConfigException):
        return missing_choice(error)
    if isinstance(error, OverrideParseException):
        return bad_word(error)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return bad_value(error)
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be a string or a list"):
        words = [word for word in sys.argv[1:] if word.partition("=")[0] in GROUPS]
        words = [word for word in words if word.endswith("=null")] or words
        return f"a group takes the name of a choice: one of {', '.join(words) or 'the words'} names none. See --help."
    return None


def folder_trouble(error: BaseException, option: str, folder: Path | None) -> str | None:
    """In one line, that the folder of a run or a sweep cannot be made; None if the error is another."""
    if not isinstance(error, OSError) or folder is None or error.filename is None:
        return None
    failed = Path(os.path.abspath(error.filename))
    folder = Path(os.path.abspath(folder))
    if failed != folder and failed not in folder.parents:
        return None
    return f"{option}={folder} cannot be made: {error.strerror}: {error.filename}. Choose another folder."


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def missing_choice(error: MissingConfigException) -> str:
    """A group has no such choice."""
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
EXTRAS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit", "optuna": "optuna"}


def choices(group: str, message: str) -> list[str]:
    """The choices that a group has, in the folders that Hydra's message says it looked in."""
    folders = [Path(path) / group for path in re.findall(r"path=file://(.+)", message)]
    return sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})


def bad_word(error: OverrideParseException) -> str:
    """A word of the command line is no override."""
    if "=" not in error.override and not error.override.startswith("~"):
        return f"{error.override} cannot be parsed: options are given as name=value. See --help."
    return f"{error.override} cannot be parsed: {first_line(error)}. Quote values with brackets or spaces."


def bad_yaml(error: YAMLError) -> str:
    """A file is not YAML."""
    mark = getattr(error, "problem_mark", None)
    place = "a config file" if mark is None else f"{mark.name}, line {mark.line + 1},"
    return f"{place} is not YAML: {getattr(error, 'problem', None) or first_line(error)}."


def bad_value(error: BaseException) -> str:
    """A key or a value that the config cannot take."""
    match = re.fullmatch(r"Error merging override (\w+)=(.*)", first_line(error))
    if match and match[1] in GROUPS:  # without a folder of its own, as penalty_g
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
            if found := re.fullmatch(r"Value '(.*)' of type '.*' could not be converted to (\w+)", line):
                return f"{key}={found[1]} is not {WORDS.get(found[2], found[2])}."
            if found := re.fullmatch(r"Value '(.*)' is not a valid bool.*", line):
                return f"{key}={found[1]} is not true or false."
            if found := re.fullmatch(r"Invalid type assigned: .* value: (.*)", line):
                return f"{key}={found[1]} cannot be: {key} has options of its own, such as {key}.…=. See --cfg job."
            if line.endswith("is not Optional"):
                return f"{key}=null cannot be: {key} needs a value."
            return f"{key}: {line}."
    line = first_line(error)
    if found := re.match(r"Ambiguous value for argument '(.*)'", line):
        values = found[1].partition("=")[2]
        return f"{found[1]} gives several values: add -m for a run with each, or write [{values}] for a list."
    if found := re.match(r"Could not override '(.*)'\.", line):
        return f"{found[1] or 'a word without a name'} is not an option or a group. See --help."
    return line


def unknown_key(error: OmegaConfBaseException) -> str:
    """A config has no such key: name the nearest on the same level, or where one of that name is."""
    full_key, key = str(error.full_key), str(error.key)
    if line := retired_option(full_key):
        return line
    known = (
        [str(k) for k in error.parent_node if not str(k).startswith("_")]
        if isinstance(error.parent_node, DictConfig)
        else []
    )
    advice = nearest(key, known) if known else "See --help."
    if having := others(full_key):
        advice = f"{' and '.join(having)} {'has' if len(having) == 1 else 'have'} it: add {having[0]}."
    return f"{full_key} is not an option. {advice}"


def others(full_key: str) -> list[str]:
    """The choices of the key's group that have it, as words to type, such as penalty=r1 for penalty.gamma."""
    group, *keys = full_key.split(".")
    found = []
    for file in sorted((Path(sys.argv[0]).resolve().parent / "conf" / group).glob("*.yaml")):
        node = yaml.safe_load(file.read_text(encoding="utf-8"))
        for key in keys:
            node = node.get(key) if isinstance(node, dict) else None
        if keys and node is not None:
            found.append(f"{group}={file.stem}")
    return found


def first_line(error: BaseException) -> str:
    """The first line of what the error says, without a full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
