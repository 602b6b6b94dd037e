"""G and D by torch.compile: fewer kernels, and fewer ways through memory, for some seconds at the start.

It pays on a GPU; on two cores of a CPU compiled networks were slower (docs/speed.md). What cannot be compiled runs as
it is, and a line says why.
"""

import logging

import torch
from torch import nn

from ganduel.model.base import reseeded

log = logging.getLogger("ganduel")


def compile_networks(generator: nn.Module, discriminator: nn.Module, penalised: bool, device: torch.device) -> None:
    """Compile both in place, for shapes that do not change.

    Args:
        generator: G.
        discriminator: D.
        penalised: whether D is differentiated twice, which compiled functions do not allow.
        device: where they are.
    """
    if device.type != "cuda":
        as_they_are(f"it pays on a CUDA device, and this run is on {device.type}", "the networks run as they are")
        return
    for name, net in {"G": generator, "D": discriminator}.items():
        if layers := reseeded(net=net):
            as_they_are(f"{next(iter(layers))} draws from the iteration's number", f"{name} runs as it is")
        elif net is discriminator and penalised:
            as_they_are("the penalty differentiates D twice", "D runs as it is")
        else:
            net.compile(dynamic=False)


def as_they_are(reason: str, consequence: str) -> None:
    """Say in one line what is not compiled, and why."""
    log.info("trainer.compile: %s; %s", reason, consequence)
