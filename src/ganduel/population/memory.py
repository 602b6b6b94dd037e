"""How much memory a member of a population takes, and how many of them fit.

    weights       of G and D, their gradients, their optimizers' moments, the average of G
    draws         the order of the data, a block of noise
    activations   what layers give in the forward passes, and its gradients; the larger of D's update and G's

Activations are measured in one update of each network, of one member alone, on the CPU.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from ganduel.errors import UserError
from ganduel.gan import GAN
from ganduel.model.base import conditioned, keyed_layers
from ganduel.optim import Optim, frozen

log = logging.getLogger("ganduel")

PYTHON_OVERHEAD = 3_000_000  # bytes of a member's callbacks and record
PROCESS = 320_000_000  # of a further process, for itself: torch and the rest
ALLOCATOR_OVERHEAD = 1.3  # what the allocator does not use again; 8 to 24 members of the default recipe took that
USABLE_FRACTION = 0.9  # of the memory that is free
VIEWS = (nn.Flatten, nn.Unflatten, nn.Identity)
LIMIT, USED = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))  # of a container


def memory_per_member(gan: GAN) -> int:
    """Bytes that a member like this one takes."""
    gan.configure_optimizers()
    for layer in keyed_layers(gan):
        layer.draws = gan.batches.draws
    trained = sum(size(p) for p in gan.parameters() if p.requires_grad)
    values = sum(map(size, (*gan.parameters(), *gan.buffers()))) + trained
    draws = 8 * (gan.batches.data.size or 0) + size(gan.batches.noise_block(0))
    updates = activations(gan) + sum(map(moments, (gan.optim_d, gan.optim_g)))
    return round(ALLOCATOR_OVERHEAD * (values + draws + updates + PYTHON_OVERHEAD))


def moments(optim: Optim) -> int:
    """Bytes of an optimizer's state, after one step that leaves the weights as they were."""
    before = [p.detach().clone() for p in optim.parameters]
    for p in optim.parameters:
        p.grad = torch.zeros_like(p)
    optim.optimizer.step()
    optim.optimizer.zero_grad()
    for p, value in zip(optim.parameters, before, strict=True):
        p.data.copy_(value)
    return sum(size(x) for state in optim.optimizer.state.values() for x in state.values() if isinstance(x, Tensor))


def activations(gan: GAN) -> int:
    """Bytes of the larger of the two updates: what its layers give, and the gradients of that."""
    batch = gan.batches(0)
    b = batch.generator
    with torch.no_grad():
        fake = conditioned(gan.generator, b.noise, b.fake_labels)

    penalties_d = tuple(gan.penalties_d.values())

    def update_d() -> Tensor:
        loss, penalty, *_ = gan.objective_d(b, fake, penalties_d)
        return loss + penalty

    def update_g() -> Tensor:
        fake = conditioned(gan.generator, b.noise, b.fake_labels)
        output = gan.opponent(gan, b, fake, penalties_d)
        with frozen(gan.discriminator):
            of_real = output(b.real, b.labels) if gan.loss.generator_uses_real else None
            loss = gan.loss.generator(of_real, output(fake, b.fake_labels))
            return loss + gan.penalty(gan.penalties_g.values(), tuple(gan.penalties_g.values()), gan.generator, b, fake)

    return 2 * max(output_bytes(gan, update_d), output_bytes(gan, update_g))


def output_bytes(module: nn.Module, update: Callable[[], Tensor]) -> int:
    """Bytes of what the layers within give in an update, which the backward pass keeps; views of their input aside."""
    total = 0

    def count(layer: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal total
        if isinstance(output, Tensor) and not isinstance(layer, VIEWS):
            total += size(output)

    leaves = [layer for layer in module.modules() if not any(True for _ in layer.children())]
    hooks = [layer.register_forward_hook(count) for layer in leaves]
    try:
        update()
    finally:
        for hook in hooks:
            hook.remove()
    return total


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
        each: bytes per member.
        device: what they train on.
        ranks: processes that share the members; on GPUs each has one of its own.
    """
    on_gpus = device.type == "cuda"
    members_here = -(-members // ranks) if on_gpus else members
    available = free(device)
    room = USABLE_FRACTION * available - (0 if on_gpus else (ranks - 1) * PROCESS)
    total = text(members_here * each)
    log.info("%d members of %s each: %s of the %s that is free", members_here, text(each), total, text(available))
    if members_here * each > room:
        fit = max(0, int(room / each)) * (ranks if on_gpus else 1)
        raise UserError(
            f"{members} members of {text(each)} each do not fit into the {text(available)} of memory that is free: "
            f"{fit} do. Try fewer members, a smaller batch_size or smaller networks."
        )


def text(n: int) -> str:
    """Bytes as one reads them."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"
