"""The files of a run's folder; reading them needs neither an account nor torch.

config.yaml        the resolved config, and under `run` the command line, data, versions, device and revision
metrics.jsonl      one JSON object per row, appended as it is logged: {"iteration": …, "images_seen": …, …}; null is NaN
histograms.jsonl   {"iteration": …, "d/real": [counts in equal bins of [0, 1]], "d/fake": […], "logit/fake": […]};
                   where logits are not log-odds there is "logit/real", and no "d/…"
protocols.jsonl    {"iteration": …, "metric": its key, "hash": …, …}: what its values depend on from there on
samples/           images
loss_form.json     G's term and its slope on a grid of logits
checkpoints/       see ganduel.checkpoint
summary.json       written when the run ends: status, last metrics, seconds, peak memory

The folder of a population holds the folders of its members, each that of a run, and population.json: their names, and
the status once it has ended.

A folder may come from someone else. Only regular files within it are read, of bounded size, and YAML without aliases
and of bounded depth: a few lines with aliases are a tree too large for any memory.
"""

import json
import math
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from ganduel.errors import UserError

CONFIG = "config.yaml"
METRICS = "metrics.jsonl"
HISTOGRAMS = "histograms.jsonl"
PROTOCOLS = "protocols.jsonl"
SUMMARY = "summary.json"
LOSS_FORM = "loss_form.json"
POPULATION = "population.json"
SAMPLES = "samples"
RANGES = {"d": (0.0, 1.0), "logit": (-16.0, 16.0)}  # of histograms, by the first part of their key

MAX_BYTES = 2**30
MAX_CONFIG_BYTES, MAX_CONFIG_DEPTH = 2**20, 50
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where available: ten times as fast


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved config of the run in a folder."""
    try:
        values = parse_yaml(read_text(folder / CONFIG, MAX_CONFIG_BYTES))
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no run: it has no {CONFIG}.") from error
    except (yaml.YAMLError, ValueError, OSError) as error:
        raise UserError(f"{folder / CONFIG} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(values, dict) or "run" not in values:
        raise UserError(f"{folder / CONFIG} is not the config of a run.")
    return values


def parse_yaml(text: str) -> Any:
    """The value of a YAML document without aliases."""
    depth = 0
    for event in yaml.parse(text, LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_CONFIG_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {MAX_CONFIG_DEPTH} deep")
    return yaml.load(text, LOADER)


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """The text of a file of a run's folder."""
    return read_bytes(path, limit).decode("utf-8")


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a file of a run's folder."""
    if (reason := unreadable_reason(path, path.parent, limit)) is not None:
        raise UserError(f"{path.name} {reason}")
    return path.read_bytes()


def unreadable_reason(path: Path, folder: Path, limit: int = MAX_BYTES) -> str | None:
    """Why a file below a run's folder is not opened: a FIFO would block, a link may show any file of this machine."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        return "is a link out of the folder"
    if path.exists() and not path.is_file():
        return "is not a regular file"
    return "is too large" if path.exists() and path.stat().st_size > limit else None


def to_json(value: Any, indent: int | None = None) -> str:
    """Strict JSON, which has no NaN and no infinity: they are null. What JSON does not know becomes text."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False, default=str)
    except ValueError:
        return json.dumps(finite_or_null(value), indent=indent, allow_nan=False, default=str)


def finite_or_null(value: Any) -> Any:
    """The value of nested containers with None instead of NaN and infinity."""
    if isinstance(value, dict):
        return {key: finite_or_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_null(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rows(path: Path) -> list[dict[str, Any]]:
    """All whole rows of a file; none where it is missing. Truncated and damaged lines are skipped."""
    if not path.exists():
        return []
    lines = read_bytes(path).splitlines()  # of which each is decoded alone: one may not be UTF-8
    with suppress(ValueError, RecursionError):
        values = json.loads(b"[%b]" % b",".join(lines))  # all lines at once, if none is damaged: half the time
        if len(values) == len(lines) and all(isinstance(value, dict) for value in values):
            return values
    values = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            values.append(json.loads(line))
    return [value for value in values if isinstance(value, dict)]


def keys_named(name: str, keys: Iterable[str]) -> list[str]:
    """The key of that name; or those whose first part it is, as fd is of fd/mnist_cnn_10k."""
    keys = list(keys)
    return [name] if name in keys else [key for key in keys if key.startswith(f"{name}/")]


def damage(path: Path, whole_rows: int) -> str | None:
    """What has been lost of a file with that many whole rows, in words; None: nothing."""
    content = path.read_bytes() if path.exists() else b""
    damaged = len(content.splitlines()) - whole_rows
    if damaged == 1 and not content.endswith(b"\n"):
        return f"the last row of {path.name} is cut off"
    return f"{path.name} has {damaged} damaged row{'s' * (damaged > 1)}" if damaged else None


def range_of(key: str) -> tuple[float, float]:
    """The range of the histogram of this key, such as (0, 1) for "d/fake"."""
    return RANGES[key.partition("/")[0]]
