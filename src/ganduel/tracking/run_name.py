"""The name of a run among many, and the tags and groups of W&B."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from ganduel.tracking.secrets import without_secrets

LENGTH, TAG_LENGTH = 128, 64  # W&B's limits
NAMED_GROUPS = ("loss", "penalty", "penalty_g", "augment", "condition", "model", "data")
NAMED_KEYS = {"seed", "k", *NAMED_GROUPS}  # overrides that have a part of the name to themselves
# Keys of the config that no computed number depends on: how the run is logged, and where it comes from.
IGNORED_IN_COMPARISON = {"run", "tracking", "callback", "metric", "objective", "log_every", "checkpoint_every",
              "checkpoint_min_seconds", "checkpoint_seconds", "resume", "trust", "population"}  # fmt: skip
UNNAMED_KEYS = IGNORED_IN_COMPARISON | {"engine", "trainer", "hydra"}
# Where a run is computed, which changes its numbers by rounding at most.
HARDWARE_KEYS = ("engine", "trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.cuda_graph",
                 "trainer.replay", "trainer.onednn", "trainer.compile")  # fmt: skip


def group_name(config: Mapping[str, Any]) -> str:
    """The name of the run without its seed, such as "nonsaturating-r1-dcgan-mnist-batch_size=64".

    Keys that only say where and how long it is computed, and how it is logged, are not part of it.
    """
    overrides = (override.lstrip("+~") for override in without_secrets(config["run"]["overrides"]))
    keyed = [(override, override.split("=")[0]) for override in overrides]
    rest = [o for o, key in keyed if key not in NAMED_KEYS and key.split(".")[0] not in UNNAMED_KEYS]
    name = "-".join([*names(config), *sorted(rest)]).replace("/", "_")
    return name if len(name) <= LENGTH else f"{name[: LENGTH - 9]}-{sha256(name.encode()).hexdigest()[:8]}"


def names(config: Mapping[str, Any]) -> list[str]:
    """The config groups that name a run, and k."""
    chosen = [config["run"]["choices"].get(group) for group in NAMED_GROUPS]
    k = config["k"]
    return [str(choice) for choice in chosen if choice not in (None, "none")] + ([] if k == 1 else [f"k{k}"])


def all_tags(config: Mapping[str, Any], more: Sequence[str]) -> list[str]:
    tags = [*names(config), f"seed{config['seed']}", *more]
    return list(dict.fromkeys(tag[:TAG_LENGTH] for tag in tags if tag))
