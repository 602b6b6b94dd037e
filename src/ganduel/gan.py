"""One duel as a LightningModule: an iteration of Algorithm 1 is one `global_step`."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ganduel import rng
from ganduel.algorithm import Algorithm1, full
from ganduel.data.base import Data
from ganduel.distributed import average_gradients
from ganduel.ema import EMA
from ganduel.engine.compiled import compile_networks
from ganduel.engine.graph import graphed
from ganduel.engine.recorder import Beside, CUDARecorder, Recorder
from ganduel.errors import UserError
from ganduel.loop import Loop
from ganduel.loss.base import Loss
from ganduel.model.base import Generator, reseeded, uses_batch_statistics
from ganduel.onednn import MKL, ONEDNN, is_large, keeps_float32, products_by
from ganduel.penalty.base import Penalty
from ganduel.replay import Replay
from ganduel.rng import Blocks
from ganduel.types import Samples, Scalar


@dataclass(frozen=True)
class Descent:
    """How one network follows its gradient.

    Attributes:
        optimizer: builds the optimizer from the network's parameters.
        schedule: builds the learning-rate schedule from the optimizer, stepped once an iteration; None: constant.
        clip: the largest norm of the network's whole gradient; a longer one is scaled down to it. None: no limit.
    """

    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    schedule: Callable[[Optimizer], LRScheduler] | None = None
    clip: float | None = None


class GAN(Algorithm1, Loop):
    """The duel of a generator and a discriminator.

    Args:
        generator: G, which also says what noise it takes.
        discriminator: D, from samples to logits (batch,).
        loss: what each of the two minimises.
        penalty: what D's loss gains.
        data: the real samples.
        descent_d: how D follows its gradient.
        descent_g: how G follows its gradient.
        ema: the average of G's weights that samples are taken from; None: from G itself.
        k: updates of D an iteration.
        batch_size: samples a minibatch, over all ranks together.
        seed: of the order of the data and of the noise; the networks come with their initial weights.
        cuda_graph: whether an iteration's updates are to be launched as one CUDA graph, where that can be.
        replay: whether they are to be noted on a CPU, and called again without autograd, where that can be; "auto":
            if all that has a part in them is ours or torch's.
        compiled: whether the networks are to be compiled, where that can be.
        onednn: whether a CPU's products of float32 in an iteration are to be oneDNN's, where those have all digits;
            "auto": if a layer is large.
    """

    generator: Generator
    recorder: type[Recorder] = CUDARecorder
    peers: Any = None  # ganduel.callback.base.Peers, for a duel that does its iterations together with others

    def __init__(
        self,
        generator: Generator,
        discriminator: nn.Module,
        loss: Loss,
        penalty: Penalty,
        data: Data,
        descent_d: Descent,
        descent_g: Descent,
        ema: EMA | None = None,
        k: int = 1,
        batch_size: int = 64,
        seed: int = 0,
        cuda_graph: bool = False,
        replay: bool | str = False,
        compiled: bool = False,
        onednn: bool | str = False,
    ):
        super().__init__()
        if penalty.active and uses_batch_statistics(discriminator):
            raise UserError(
                f"{type(penalty).__name__} needs D's slope at each sample, and a BatchNorm in D mixes the samples. "
                "Use norm=layer or norm=spectral in D, or penalty=none."
            )
        self.automatic_optimization = False
        self.generator, self.discriminator, self.ema = generator, discriminator, ema
        self.loss, self.penalty, self.data = loss, penalty, data
        self.descent_d, self.descent_g = descent_d, descent_g
        self.k, self.batch_size, self.seed = k, batch_size, seed
        self.cuda_graph, self.replay, self.compiled, self.onednn = cuda_graph, replay, compiled, onednn
        self.noises, self.beside = Blocks(self.draw), Beside()
        self.share = slice(None)  # of a minibatch's rows, this rank's
        self.one_pass = not uses_batch_statistics(discriminator)
        self.reseeded = reseeded(generator=generator, discriminator=discriminator)

    def noise(self, t: int) -> Tensor:
        """This rank's noise for the k + 1 minibatches of iteration t, (k + 1, batch, noise_dim)."""
        return self.noises(t)[:, self.share]

    def draw(self, block: int) -> Tensor:
        """The noise of all ranks of a block of iterations, (iterations, k + 1, batch_size, noise_dim)."""
        stream, shape = rng.generator(self.seed, "noise", block, device=self.device), (self.k + 1, self.batch_size)
        return self.generator.draw(Blocks.size * math.prod(shape), stream).unflatten(0, (Blocks.size, *shape))

    def minibatch(self, position: int) -> Samples:
        return self.data.minibatch(self.seed, position, self.batch_size, self.share)

    def reseed(self, t: int, update: int) -> None:
        for name, layer in self.reseeded.items():
            layer.reseed((self.seed, "layer", name, t, update), self.batch_size, self.share)

    def penalise(self, real: Samples, fake: Samples) -> Scalar:
        """The penalty, always in float32: bfloat16 has no digits left for a second derivative."""
        if not self.penalty.active:
            return self.penalty(self.discriminator, real, fake)
        with torch.autocast(self.device.type, enabled=False):
            return self.penalty(self.discriminator, real, full(fake))

    def descend(self, net: nn.Module, loss: Scalar) -> Scalar:
        opt_d, opt_g = self.trainer.optimizers
        optimizer = opt_g if net is self.generator else opt_d
        optimizer.zero_grad()
        if self.all_plain:
            loss.backward()
            self.on_before_optimizer_step(optimizer)
            optimizer.step()
        else:
            self.manual_backward(loss)
            average_gradients(net.parameters())
            self.trainer.strategy.optimizer_step(optimizer, lambda: None)  # uncounted: k + 1 of them are one step
        self.beside.join()
        return self.gradient_norm

    def follow(self, t: int) -> None:
        if self.ema is not None:
            self.ema.update(self.generator, t + 1, self.batch_size)
        for schedule in self.schedules:
            schedule.step()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Measure the gradient and clip it; only here is it averaged over the ranks and free of an fp16 scale."""
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        with self.beside.fork():
            self.gradient_norm = total_norm([p.grad for p in parameters])
        clip = (self.descent_d if optimizer is self.trainer.optimizers[0] else self.descent_g).clip
        if clip is not None:
            self.beside.join()
            nn.utils.clip_grads_with_norm_(parameters, clip, self.gradient_norm)

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        opt_d = self.descent_d.optimizer(self.discriminator.parameters())
        opt_g = self.descent_g.optimizer(self.generator.parameters())
        pairs = ((self.descent_d.schedule, opt_d), (self.descent_g.schedule, opt_g))
        self.schedules = [schedule(optimizer) for schedule, optimizer in pairs if schedule is not None]
        return [opt_d, opt_g], self.schedules

    def on_fit_start(self) -> None:
        self.data.to(self.device)
        self.noises = Blocks(self.draw)  # what has been drawn before may be on another device
        rows = self.batch_size // self.trainer.world_size
        self.share = slice(self.trainer.global_rank * rows, (self.trainer.global_rank + 1) * rows)

    def on_train_start(self) -> None:
        """Prepare the graph: here, for a checkpoint's optimizers are in place by now."""
        if self.compiled:
            compile_networks(self.generator, self.discriminator, self.penalty.active, self.device)
        optimizers, scheduled = self.trainer.optimizers, [schedule.optimizer for schedule in self.schedules]
        updates = partial(self.update, 0)  # whatever the iteration: nothing is reseeded
        self.graphed = graphed(updates, 0, optimizers, scheduled, self.recorders, self.device, self.hindrance)

    @contextmanager
    def precision(self) -> Iterator[None]:
        with super().precision(), products_by(ONEDNN) if self.by_onednn else nullcontext():
            yield

    @cached_property
    def by_onednn(self) -> bool:
        """Whether products of float32 are oneDNN's."""
        samples = self.batch_size // self.trainer.world_size
        return (
            self.onednn is not False
            and self.device.type == "cpu"
            and self.trainer.precision == "32-true"
            and (self.onednn is True or any(is_large(net, samples) for net in (self.generator, self.discriminator)))
            and keeps_float32()
        )

    @property
    def recorders(self) -> list[tuple[type[Recorder], int]]:
        """How updates may be recorded, the best first, each with the level of a line that says why they cannot."""
        wanted = [(self.recorder, logging.INFO)] if self.cuda_graph else []
        if self.replay is True or (self.replay == "auto" and is_familiar(self)):
            wanted.append((Replay, logging.INFO if self.replay is True else logging.DEBUG))
        return wanted

    @property
    def hindrance(self) -> str | None:
        """What of this duel cannot be in a graph, if anything."""
        if self.trainer.world_size > 1:
            return "gradients are averaged over ranks"
        if self.reseeded:
            return f"{next(iter(self.reseeded))} draws from the iteration's number"
        if isinstance(self.trainer.precision_plugin, MixedPrecision) and self.trainer.precision_plugin.scaler:
            return "a loss scale is looked at in each step"
        return None if self.all_plain else "a callback, the precision or the strategy has a part in each update"

    @property
    def sampler(self) -> nn.Module:
        """The network to sample from: the average of G where there is one."""
        return self.generator if self.ema is None else self.ema.net

    @property
    def images_seen(self) -> int:
        """Real samples that D has been trained on so far, over all ranks."""
        return self.global_step * self.k * self.batch_size


# Where torch keeps what is to be called besides: a module's, a weight's, an optimizer's.
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks",
         "_post_accumulate_grad_hooks", "_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")  # fmt: skip


def is_familiar(gan: GAN) -> bool:
    """Whether all that has a part in an update is ours or torch's, and so does the same in each iteration."""
    parts = [gan.loss, gan.penalty, *gan.trainer.optimizers, *gan.modules()]
    return all(type(part).__module__.partition(".")[0] in ("ganduel", "torch") for part in parts) and not any(
        getattr(part, hooks, None) for part in [*parts, *gan.parameters()] for hooks in HOOKS
    )


def total_norm(tensors: list[Tensor]) -> Scalar:
    """The norm of all values of the tensors together, by what is faster: one kernel for all on a GPU, dot products."""
    if tensors[0].is_cuda:
        return nn.utils.get_total_norm(tensors)
    with products_by(MKL):
        return torch.stack([torch.dot(t, t) for t in [tensor.flatten() for tensor in tensors]]).sum().sqrt()


def each_norm(tensors: list[Tensor], duels: int) -> Tensor:
    """The norm of each duel's values, (duels,), of tensors that count duels in front; of one duel they need not."""
    return torch.stack([torch.linalg.vector_norm(t.reshape(duels, -1), dim=1) for t in tensors]).norm(dim=0)
