"""A run's trackers, which cannot end it: what one raises is a warning, once, and its next rows are tried all the same.

The run's own record is no tracker: a run that cannot write it ends. A tracker that cannot be built refuses the run
before it begins, as any part does. Of several ranks the first alone has trackers.
"""

import inspect
import logging
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from lightning.pytorch.loggers import Logger

from ganduel.errors import summary_of
from ganduel.factory.part import build
from ganduel.run.explain import first_with_user_code, location
from ganduel.tracking.base import is_first_rank
from ganduel.tracking.secrets import without_secrets

log = logging.getLogger("ganduel")

# The methods that Lightning calls, and those of our own loggers.
METHODS = (
    "log_metrics", "log_hyperparams", "log_graph", "save", "after_save_checkpoint", "finalize",
    "begin", "log_histograms", "log_protocols", "log_picture", "finish",
)  # fmt: skip


def guarded_trackers(values: Mapping[str, Any], folder: Path) -> list[Logger]:
    """The loggers of a config besides the run's own record, guarded; on other ranks than the first there are none."""
    trackers = build_trackers(values, folder) if is_first_rank() else {}
    return [guarded(tracker, path, folder) for path, tracker in trackers.items()]


def build_trackers(config: Mapping[str, Any], folder: Path) -> dict[str, Logger]:
    """The loggers of a run besides its own record, by where they stand in the config.

    Ours are told folder and config, Lightning's where to write.
    """
    tracking, trackers = config["tracking"] or {}, {}
    nodes = {f"tracking.{name}": node for name, node in tracking.items()}
    for path, node in ({"tracking": tracking} if "_target_" in tracking else nodes).items():
        known = inspect.signature(get_object(node["_target_"])).parameters.keys() - node.keys()
        supplied = {"folder": folder, "config": config, "save_dir": str(folder)}
        trackers[path] = build(node, path, **{name: value for name, value in supplied.items() if name in known})
    return trackers


def guarded(tracker: Logger, path: str, folder: Path) -> Logger:
    """The same logger, whose methods warn instead of raising: callbacks may look for its class.

    Args:
        tracker: the logger.
        path: where it stands in the config.
        folder: the run's, whose record is complete without it.
    """
    warned = False

    def guard(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal warned
            try:
                return method(*args, **kwargs)
            except Exception as error:
                if not warned:
                    warned = True
                    name = f"{type(tracker).__name__} ({path})"
                    log.warning("%s fails: %s. The record in %s is complete without it.", name, reason(error), folder)

        return call

    for name in METHODS:
        if hasattr(tracker, name):
            setattr(tracker, name, guard(getattr(tracker, name)))
    return tracker


def reason(error: Exception) -> str:
    """An error in one line, with the line of the user's code that it arose in, if it did."""
    first = first_with_user_code(error)
    return without_secrets(summary_of(error) if first is None else f"{summary_of(first)} ({location(first)})")
