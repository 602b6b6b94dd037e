"""What a stored config may have built: a run's folder or a checkpoint may come from anyone, and a `_target_` is code.

Of a config that is read from disk only classes of ganduel, torch's optimizers and schedules, and Lightning's callbacks
that write no file are built, each in its own place and of plain values: none of these takes another as an argument. Any
other class is imported and built if the user says so, or names it in the same place of the command line. Interpolations
are refused even then: a config is stored resolved, and `${oc.env:…}` would read a secret of this machine.
"""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.utils import get_class

from ganduel.errors import UserError

# The class that each place asks for, by name: a generator is loaded without Lightning, whose import takes longer than
# that of torch. A star stands for the name that a config gives a part.
KINDS = {
    "loss": "ganduel.loss.base.Loss",
    "augment": "ganduel.augment.base.Augment",
    "condition": "ganduel.condition.base.Condition",
    "data": "ganduel.data.base.Data",
    "tracking": "ganduel.tracking.base.Logger",
    "tracking.*": "ganduel.tracking.base.Logger",
    "model.generator": "ganduel.model.base.Generator",
    "model.discriminator": "torch.nn.Module",
    "penalty.*": "ganduel.penalty.base.Penalty",
    "penalty_g.*": "ganduel.penalty.base.Penalty",
    "optimizer.*": "torch.optim.Optimizer",
    "schedule.*": "torch.optim.lr_scheduler.LRScheduler",
    "callback.*": "lightning.pytorch.Callback",
    "callback.evaluate.metrics.*": "ganduel.metric.base.SampleMetric",  # the same, as the callback has them
    "metric.*": "ganduel.metric.base.SampleMetric",
}
BUILTIN = re.compile(r"(ganduel(?:\.[a-z]\w*)+|torch\.optim|torch\.optim\.lr_scheduler)\.([A-Z]\w*)")
# Others write where an argument, or a checkpoint, tells them: a ModelCheckpoint may write anywhere, and delete, too.
OF_LIGHTNING = re.compile(
    r"(lightning\.pytorch\.callbacks)\.(DeviceStatsMonitor|EarlyStopping|LearningRateMonitor|Timer)"
)


def check_stored(
    config: Mapping[str, Any], source: Path, how: str, trusted: bool = False, named: Mapping[str, Any] | None = None
) -> None:
    """Refuse a config from disk that would run code of anyone but us; nothing is imported for it.

    Args:
        config: the config, or those of its parts that will be built.
        source: where it is from.
        how: how to say that one trusts it.
        trusted: whether the user has said so.
        named: the config of the command line: what that names is the user's own.
    """
    foreign = []
    for path, value in walk(config):
        if isinstance(value, str) and "${" in value:
            raise UserError(f"{source} has an interpolation as {path}, where a stored config has a value.")
        if not isinstance(value, Mapping) or not (special := special_keys(value)) or is_builtin(path, special):
            continue
        if special_keys(select(named, path)) != special:
            foreign.append(f"{shown(special)} ({path})")
    if foreign and not trusted:
        names = ", ".join(foreign[:3]) + (", …" if foreign[3:] else "")
        raise UserError(
            f"{source} names {names}, no such part of ganduel: to build it is to run someone's code. "
            f"If it is yours, or you trust it, add {how}."
        )


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All values in a config with their dotted keys, containers before their contents."""
    yield path, value
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        yield from walk(item, f"{path}.{key}".lstrip("."))


def special_keys(node: Any) -> dict[str, Any]:
    """What in a node speaks to Hydra: `_target_`, `_args_` and the like."""
    return {key: value for key, value in node.items() if str(key).startswith("_")} if isinstance(node, Mapping) else {}


def is_builtin(path: str, special: Mapping[str, Any]) -> bool:
    """Whether this is a built-in class, or a harmless one of torch or Lightning, of the kind that belongs there."""
    kind = KINDS.get(path) or KINDS.get(f"{path.rpartition('.')[0]}.*")
    target = str(special.get("_target_"))
    match = BUILTIN.fullmatch(target) or OF_LIGHTNING.fullmatch(target)
    if kind is None or match is None or len(special) > 1:
        return False
    try:
        module = import_module(match[1])
    except ImportError:
        return False
    part = getattr(module, match[2], None)
    defined_here = getattr(part, "__module__", None) == match[1] or not match[1].startswith("ganduel.")
    return isinstance(part, type) and issubclass(part, get_class(kind)) and defined_here


def select(config: Mapping[str, Any] | None, path: str) -> Any:
    """The value of a dotted key; None if there is none."""
    value: Any = config
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def shown(special: Mapping[str, Any]) -> str:
    """A node for a message: its target, or else its first special key; without a stranger's control characters."""
    text = str(special.get("_target_", next(iter(special))))[:80]
    return text if text.isprintable() else repr(text)
