"""How much memory a member of a population takes, and how many of them fit.

    weights       of G and D, their gradients, their optimizers' moments, the average of G
    draws         the order of the data, a block of noise
    activations   what is computed before a backward pass; the larger of D's update and G's

The activations are counted in one update of each network, of one member alone, on the CPU.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganduel.algorithm import frozen
from ganduel.errors import UserError
from ganduel.gan import GAN
from ganduel.population.descent import weights

log = logging.getLogger("ganduel")

MEMBER = 3_000_000  # bytes of Python's: a Trainer, callbacks, a record
PROCESS = 320_000_000  # of a further process, for itself: torch and the rest
SLACK = 1.3  # what the allocator does not use again; 8 to 24 members of the default recipe took 1.3 times the sum
ROOM = 0.9  # of the memory that is free
LIMIT, USED = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))  # of a container


def footprint(gan: GAN) -> int:
    """Bytes that a member like this one takes."""
    moments = 0
    for optimizer in gan.configure_optimizers()[0]:
        for p in weights(optimizer):
            p.grad = torch.zeros_like(p)
        before = [p.detach().clone() for p in weights(optimizer)]
        optimizer.step()
        for p, value in zip(weights(optimizer), before, strict=True):
            p.data.copy_(value)
        moments += sum(size(x) for state in optimizer.state.values() for x in state.values() if isinstance(x, Tensor))
    values = sum(size(p) for p in gan.parameters()) + sum(size(p) for p in gan.parameters() if p.requires_grad)
    gan.zero_grad()
    draws = 8 * (gan.data.size or 0) + size(gan.draw(0))
    return round(SLACK * (values + moments + draws + 2 * activations(gan) + MEMBER))  # activations and their gradients


def activations(gan: GAN) -> int:
    """Bytes that the larger of the two updates computes before its backward pass."""
    noise, real = gan.noise(0), gan.minibatch(0)
    with torch.no_grad():
        gan.reseed(0, 0)
        fake = gan.generator(noise[0])

    def update_d() -> Tensor:
        on_real, on_fake = gan.discriminate(real, fake)
        return gan.loss.discriminator(on_real, on_fake) + gan.penalise(real, fake)

    def update_g() -> Tensor:
        on_real = gan.logits(real) if gan.loss.generator_uses_real else None
        with frozen(gan.discriminator):
            return gan.loss.generator(on_real, gan.logits(gan.generator(noise[1])))

    return max(made(update_d), made(update_g))


class Storages(TorchDispatchMode):
    """Holds each storage that an operation inside has made, so that none is counted twice or freed."""

    def __init__(self) -> None:
        super().__init__()
        self.given: set[int] = set()
        self.made: dict[int, torch.UntypedStorage] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.given |= {x.untyped_storage().data_ptr() for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        out = func(*args, **(kwargs or {}))
        for x in tree_leaves(out):
            if isinstance(x, Tensor) and x.untyped_storage().data_ptr() not in self.given:
                self.made[x.untyped_storage().data_ptr()] = x.untyped_storage()
        return out


def made(update: Callable[[], Tensor]) -> int:
    """Bytes of all that is computed on the way to what the update returns: no less than a backward pass needs."""
    with Storages() as storages:
        update()
    return sum(storage.nbytes() for storage in storages.made.values())


def size(x: Tensor) -> int:
    return x.numel() * x.element_size()


def free(device: torch.device) -> int:
    """Bytes that can be had on the device; of a container, what its limit leaves."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    available = psutil.virtual_memory().available
    if LIMIT.is_file() and (limit := LIMIT.read_text().strip()).isdigit():
        available = min(available, int(limit) - int(USED.read_text()))
    return available


def check(members: int, each: int, device: torch.device, ranks: int = 1) -> None:
    """Say what the members will take, and refuse more than fit.

    Args:
        members: of all ranks.
        each: bytes a member.
        device: what they train on.
        ranks: processes that share the members; on GPUs each has one of its own.
    """
    on_gpus = device.type == "cuda"
    here = -(-members // ranks) if on_gpus else members
    there = free(device)
    room = ROOM * there - (0 if on_gpus else (ranks - 1) * PROCESS)
    log.info("%d members of %s each: %s of the %s that is free", here, text(each), text(here * each), text(there))
    if here * each > room:
        fit = max(0, int(room / each)) * (ranks if on_gpus else 1)
        raise UserError(
            f"{members} members of {text(each)} each do not fit into the {text(there)} of memory that is free: "
            f"{fit} do. Try fewer members, a smaller batch_size or smaller networks."
        )


def text(n: int) -> str:
    """Bytes as one reads them."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"
