"""What the callbacks share: when a row is due, and how it reaches the trackers."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import count
from typing import Any, TypeVar, cast

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.func import functional_call

from ganduel.engine.graph import GraphedUpdates
from ganduel.gan import GAN
from ganduel.tracking.base import Tracker

T = TypeVar("T")


def due(trainer: Trainer, every: int) -> bool:
    """Whether the iteration just done is the first, one in `every`, or the last."""
    n = gan_of(trainer).global_step
    return n == 1 or n % every == 0 or n == trainer.max_steps


def next_due(n: int, every: int) -> int:
    """The first iteration after n that is due; the last one is in any case."""
    return 1 if n < 1 else n - n % every + every


def geometric(n: int, first: int, growth: float) -> bool:
    """Whether n is first · growth^i, rounded, for some i."""
    if n < first:
        return False
    i = round(math.log(n / first) / math.log(growth))
    return any(round(first * growth**j) == n for j in (i - 1, i, i + 1))


def next_geometric(n: int, first: int, growth: float) -> int:
    """The least such number after n."""
    i = 0 if n < first else math.floor(math.log(n / first) / math.log(growth))
    return next(m for j in count(i) if (m := round(first * growth**j)) > n)


class Clocked:
    """A callback that tells how long training takes."""

    def leave_out(self, seconds: float) -> None:
        """Do not count seconds that have just gone into something else."""


Outputs = dict[str, Tensor]  # what an iteration returns; of several duels, with a dimension in front that counts them


class Peers:
    """Duels whose iterations are one: what a callback reads of theirs is read of all at once, for whoever comes first.

    Args:
        outputs: what the iteration returned, stacked.
        gans: the duels.
        networks: their G and their D, as ganduel.population.network.StackedNetwork.
        graphed: their updates as a graph, where they are one.
    """

    def __init__(
        self,
        outputs: Outputs,
        gans: Sequence[GAN],
        networks: tuple[Any, Any],
        graphed: GraphedUpdates | None = None,
    ):
        self.outputs, self.gans, self.networks, self.graphed = outputs, list(gans), networks, graphed
        self.found: dict[Callable, Sequence[Any]] = {}

    def read(self, function: Callable[[Outputs, list[GAN]], Sequence[T]], gan: GAN) -> T:
        if function not in self.found:
            self.found[function] = function(self.outputs, self.gans)
        return self.found[function][self.gans.index(gan)]


def read(function: Callable[[Outputs, list[GAN]], Sequence[T]], outputs: Outputs, trainer: Trainer) -> T:
    """What the function, which gives something for each of several duels, gives for this one."""
    gan = gan_of(trainer)
    if gan.peers is not None:
        return gan.peers.read(function, gan)
    return function({key: value[None] for key, value in outputs.items()}, [gan])[0]


def networks(gans: list[GAN]) -> tuple[Any, Any]:
    """G and D of all the duels, as networks whose tensors have a dimension in front that counts duels; alone, may have.

    A member's own tensors may be elsewhere: one that has ended takes them off the device.
    """
    peers = gans[0].peers
    return (One(gans[0].generator), One(gans[0].discriminator)) if peers is None else peers.networks


def graphed(gans: list[GAN]) -> GraphedUpdates | None:
    """What launches the updates of all the duels as a graph, where they are one."""
    first = gans[0]
    return first.graphed if first.peers is None else first.peers.graphed


class One:
    """A network as a stack of one."""

    def __init__(self, net: nn.Module):
        self.net = net

    def parameters(self) -> Iterator[nn.Parameter]:
        return self.net.parameters()

    def untouched(self, x: Tensor) -> Tensor:
        """The network's output as in training, its running statistics and the like left as they are."""
        buffers = {name: buffer.clone() for name, buffer in self.net.named_buffers()}
        compiled = self.net._compiled_call_impl is not None  # which allows no second backward pass
        with torch.compiler.set_stance("force_eager") if compiled else nullcontext():
            return functional_call(self.net, buffers, (x[0],))[None]


def others(trainer: Trainer, kind: type[T]) -> list[T]:
    """The trainer's callbacks of a kind."""
    return [callback for callback in cast(Any, trainer).callbacks if isinstance(callback, kind)]


def gan_of(trainer: Trainer) -> GAN:
    """The module in training, which is a GAN."""
    return cast(GAN, trainer.lightning_module)


def trackers(trainer: Trainer) -> list[Tracker]:
    """Those of the trainer's loggers that take more than rows."""
    return [logger for logger in trainer.loggers if isinstance(logger, Tracker)]


def log(trainer: Trainer, values: Mapping[str, Any]) -> None:
    """Send one row to all trackers; every row says at which iteration and after how many images it was taken."""
    gan = gan_of(trainer)
    row = {"iteration": gan.global_step, "images_seen": gan.images_seen, **values}
    for logger in trainer.loggers:
        logger.log_metrics(row, step=gan.global_step)


def gather_columns(trainer: Trainer, rows: Tensor) -> Tensor:
    """Rows over the batch of all ranks, from each rank's (rows, share of the batch)."""
    if trainer.world_size == 1:
        return rows
    gathered = trainer.strategy.all_gather(rows)  # (rank, rows, share)
    return gathered.transpose(0, 1).flatten(1)
