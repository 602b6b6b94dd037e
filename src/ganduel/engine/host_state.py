"""What Python knows when an update is captured, and must still know whenever the capture is launched.

A capture holds the numbers and the memory that Python gave the kernels, and the way that it took through the code.
Watched are the attributes of networks, loss, penalties and augmentation (training mode, gamma, which layers there are),
the settings of the optimizers, which parameters take gradients, and where tensors lie. Numbers and strings are
unchanged if they are equal, other objects if they are the same object.

A check comes before each launch and costs 30 to 40 µs for the default networks: which entries of which dicts to read is
worked out once, and values are compared by identity first. What is kept elsewhere (a global variable, a clock) is left
to the proof (ganduel.engine.proof).
"""

import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, count
from operator import getitem, is_not, ne
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from ganduel.engine.base import has_schedule

NUMBERS = (bool, int, float, complex, str, torch.dtype, torch.device)  # and strings: unchanged if they are equal
# Packages whose objects are not looked into.
OPAQUE = {*sys.stdlib_module_names, "torch", "lightning", "numpy", "hydra", "omegaconf", "wandb"}
LONGEST = 1000  # a longer dict or list is not looked into
MODULE = vars(nn.Module()).keys()  # what each module has: its mode, and dicts of layers, parameters, hooks
Container = dict | list | tuple


class HostState:
    """The state of a GAN on the host, as it is when this is built.

    Attributes:
        tensors: all that the parts of the GAN and its optimizers hold.
        generators: of random numbers, that the parts hold.
    """

    def __init__(self, gan: Any, optimizers: Sequence[Optimizer]):
        roots = [(name, gan, name) for name in attributes_of_update(gan)]
        for i, member in enumerate(
            getattr(gan, "members", [])
        ):  # of a population; networks are looked into by the stack's
            roots += [(f"members.{i}.{name}", member, name) for name in ("penalties_d", "penalties_g")]
        parts = {name: getattr(holder, attribute) for name, holder, attribute in roots}
        containers = [*contents(parts), *settings(optimizers)]
        held = [(name, container, key) for label, container in containers for name, key in watched(label, container)]
        named = [(name, container[key]) for name, container, key in held]
        tensors = dict[int, tuple[Any, Tensor]]()
        for name, value in named:
            if isinstance(value, Tensor) and not value.is_meta and value.layout is torch.strided:
                tensors.setdefault(id(value), (name, value))  # under its name in a module, if it has one
        self.tensors = [tensor for _, tensor in tensors.values()]
        self.generators = generators_in(parts)

        attributes = [*roots, *clips(gan)]
        parameters = [(name, tensor) for name, tensor in tensors.values() if isinstance(tensor, nn.Parameter)]
        attributes += [(f"{name}.requires_grad", parameter, "requires_grad") for name, parameter in parameters]
        self.names = [name for name, *_ in (*held, *attributes)]
        _, *self.entries = zip(*held, strict=True)
        _, *self.attributes = zip(*attributes, strict=True)
        self.labels, self.containers = zip(*containers, strict=True)
        self.values, self.sizes, self.addresses = self.read()

    def read(self) -> tuple[list[Any], list[int], list[int]]:
        """What may not change: values, the lengths of dicts and lists, where tensors lie."""
        values = [*map(getitem, *self.entries), *map(getattr, *self.attributes)]
        return values, list(map(len, self.containers)), list(map(Tensor.data_ptr, self.tensors))

    def changed(self) -> str | None:
        """The name of something that has changed since; None: nothing has."""
        try:
            values, sizes, addresses = self.read()
        except LookupError:
            return "an attribute"
        if sizes != self.sizes:
            return f"the number of attributes of {next(compress(self.labels, map(ne, sizes, self.sizes)))}"
        for i in compress(count(), map(is_not, values, self.values)):
            if self.names[i] is not None and not unchanged(self.values[i], values[i]):
                return self.names[i]
        return None if addresses == self.addresses else "the memory of a tensor"


def attributes_of_update(gan: Any) -> list[str]:
    """The names of the parts of a GAN that an update calls: all modules but the average, and what may be none."""
    modules = [name for name, _ in gan.named_children() if name != "ema"]
    others = ("loss", "augment", "penalties_d", "penalties_g", "mixes_samples")
    return [*modules, *(name for name in others if name not in modules and hasattr(gan, name))]


def clips(gan: Any) -> Iterator[tuple[str, Any, str]]:
    """Where the largest gradient norms are; a population has some for each group of members."""
    for name in ("optim_d", "optim_g"):
        optim = getattr(gan, name)
        yield from ((f"{name}.clip", group, "clip") for group in getattr(optim, "groups", [optim]))


def contents(parts: dict[str, Any]) -> Iterator[tuple[str, Container]]:
    """The dicts and lists that hold the attributes of some objects, and of the objects that they hold, with names.

    What an object holds but does not call in an update it may name in an attribute `unwatched`, which saves time.
    """
    seen, stack = set[int](), [(name, part) for name, part in parts.items()]
    while stack:
        label, value = stack.pop()
        container = container_of(value)
        if container is None or id(container) in seen or len(container) > LONGEST:
            continue
        seen.add(id(container))
        yield label, container
        items = container.items() if isinstance(container, dict) else enumerate(container)
        unwatched = getattr(value, "unwatched", ())
        stack += [(label if key in MODULE else f"{label}.{key}", x) for key, x in items if key not in unwatched]


def generators_in(parts: dict[str, Any]) -> list[torch.Generator]:
    """The generators of random numbers that some objects hold."""
    return [
        value
        for _, container in contents(parts)
        for value in (container.values() if isinstance(container, dict) else container)
        if isinstance(value, torch.Generator)
    ]


def container_of(value: Any) -> Container | None:
    """What holds an object's attributes or a container's entries; None: it is not looked into."""
    if isinstance(value, Container):
        return value
    if isinstance(value, Tensor | LightningModule):
        return None
    if isinstance(value, nn.Module) or type(value).__module__.partition(".")[0] not in OPAQUE:
        return getattr(value, "__dict__", None)
    return None


def settings(optimizers: Iterable[Optimizer]) -> Iterator[tuple[str, Container]]:
    """The dicts and lists that hold the settings, parameters and states of optimizers."""
    for optimizer in optimizers:
        name = type(optimizer).__name__
        for group in optimizer.param_groups:
            yield name, group
            yield name, group["params"]
        yield from ((name, state) for state in optimizer.state.values())


def watched(label: str, container: Container) -> Iterator[tuple[str | None, Any]]:
    """Names and keys of the entries; no name for a learning rate that has a schedule, and is a tensor in a capture."""
    if not isinstance(container, dict):
        yield from ((f"{label}.{i}", i) for i in range(len(container)))
        return
    for key, value in container.items():
        if not (key in MODULE and isinstance(value, Container)):
            yield (None if key == "lr" and has_schedule(container) else f"{label}.{key}"), key


def unchanged(old: Any, new: Any) -> bool:
    if isinstance(old, tuple) and isinstance(new, tuple):
        return len(old) == len(new) and all(map(unchanged, old, new))
    return old is new or (isinstance(old, NUMBERS) and type(old) is type(new) and old == new)


def host_random_state(device: torch.device) -> tuple:
    """Of the generators of random numbers on the host, which a capture could not draw from again."""
    on_cpu = device.type == "cpu"  # torch's is then the device's
    numpy: Any = np.random.get_state()  # noqa: NPY002 - the one that layers draw from which are given none
    own = [] if on_cpu else torch.get_rng_state().tolist()
    return random.getstate(), numpy[1].tolist(), numpy[2], own
