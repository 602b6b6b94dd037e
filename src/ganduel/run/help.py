"""Resolvers for conf/help.yaml, so that `--help` shows options and choices as the config has them."""

import textwrap
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

WIDTH = 38  # of the column of options
NOTHING = "null"  # chosen; on a command line it is no choice of a group


def option(key: str, example: Any = None, *, _root_: DictConfig) -> str:
    """An option with its value, or with an example if the chosen parts do not have it."""
    value = OmegaConf.select(_root_, key, default=example)
    return f"{key}={shown(value)}".ljust(WIDTH)


def shown(value: Any) -> str:
    """A value in the syntax of the command line."""
    if OmegaConf.is_dict(value) and not value:  # no choice in a group that takes several
        return "[]"
    if OmegaConf.is_list(value):
        return f"[{','.join(map(shown, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def several(parts: Any, group: str) -> str:
    """The choices made in a group that takes several, by the names of the parts; null where that is the default."""
    return NOTHING if group in ("experiment", "metric") and not parts else shown(OmegaConf.create(list(parts or [])))


def choices(*, _root_: DictConfig) -> str:
    """All groups, the choice made in each, and all its choices."""
    loader = GlobalHydra.instance().config_loader()
    chosen = _root_.hydra.runtime.choices
    lines = []
    for group in loader.list_groups(""):
        names = loader.get_group_options(group)
        if group == "hydra" or not names:
            continue
        choice = chosen.get(group) or several(_root_.get(group), group)
        head, indent = f"  {group}" + ("" if choice == NOTHING else f"={choice}"), " " * (WIDTH + 2)
        if len(head) >= len(indent):
            lines.append(head)
            head = ""
        lines += textwrap.wrap(head.ljust(len(indent)) + ", ".join(names), 110, subsequent_indent=indent)
    return "\n".join(lines)
