"""What a run is called where many runs are looked at together, and what of its config may be shown there."""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

LENGTH, TAG_LENGTH = 128, 64  # that W&B takes
NAMED = {"seed", "k", "loss", "penalty", "model", "data"}  # overrides that a label states in a word of its own
# Keys of the config that nothing computed depends on: they say how a run is watched, and where it comes from.
UNCOMPARED = {"run", "tracking", "callback", "metric", "objective", "log_every", "checkpoint_every",
              "checkpoint_seconds", "resume", "population"}  # fmt: skip
UNNAMED = UNCOMPARED | {"trainer", "hydra"}
# Where a run is computed, which changes its numbers by rounding at most.
WHERE = ("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.cuda_graph", "trainer.replay",
         "trainer.onednn", "trainer.compile")  # fmt: skip
SECRET = re.compile(r"passw|secret|token|credential|api_?key", re.IGNORECASE)
SECRET_VALUE = re.compile(rf"(?i)((?:{SECRET.pattern})[^=]*=)(?![\d.]+$).*")  # of an override, or of a folder named so
HIDDEN = "(hidden)"


def group_name(config: Mapping[str, Any]) -> str:
    """Everything that names the run but its seed, such as "nonsaturating-r1-dcgan-mnist-batch_size=64".

    What only says where and how long it is computed, and how it is watched, does not name it.
    """
    overrides = (override.lstrip("+~") for override in without_secrets(config["run"]["overrides"]))
    rest = [o for o in overrides if o.split("=")[0] not in NAMED and o.split("=")[0].split(".")[0] not in UNNAMED]
    name = "-".join([*names(config), *sorted(rest)]).replace("/", "_")
    return name if len(name) <= LENGTH else f"{name[: LENGTH - 9]}-{sha256(name.encode()).hexdigest()[:8]}"


def names(config: Mapping[str, Any]) -> list[str]:
    """The choices that name a run."""
    chosen = [config["run"]["choices"].get(group) for group in ("loss", "penalty", "model", "data")]
    k = config["k"]
    return [str(choice) for choice in chosen if choice not in (None, "none")] + ([] if k == 1 else [f"k{k}"])


def all_tags(config: Mapping[str, Any], more: Sequence[str]) -> list[str]:
    tags = [*names(config), f"seed{config['seed']}", *more]
    return list(dict.fromkeys(tag[:TAG_LENGTH] for tag in tags if tag))


def without_secrets(value: Any) -> Any:
    """The config without what its key calls a secret, unless that is a number."""
    if isinstance(value, Mapping):
        return {key: hide(item) if SECRET.search(str(key)) else without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return SECRET_VALUE.sub(rf"\1{HIDDEN}", value) if isinstance(value, str) else value


def hide(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float) else HIDDEN
