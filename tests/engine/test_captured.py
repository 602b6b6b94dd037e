"""What a capture would miss is noticed, before it has changed a run: on tape (tests/tape.py)."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from states import same
from tape import TapeCapture
from torch import Tensor, nn

from ganduel.batch import Outputs
from ganduel.engine.captured import CapturedStep
from ganduel.gan import GAN
from ganduel.loss.saturating import Saturating


class Layer(nn.Module):
    """Scales D's logits by a factor that Python works out."""

    def __init__(self, net: nn.Module, factor: Callable[[Tensor], Any]):
        super().__init__()
        self.net, self.factor = net, factor

    def forward(self, x: Tensor) -> Tensor:
        logits = self.net(x)
        return logits * self.factor(logits)


def layer(make_factor: Callable[[], Callable[[Tensor], Any]]) -> Callable[[GAN], None]:
    """Puts such a layer into a GAN."""

    def alter(gan: GAN) -> None:
        gan.discriminator = Layer(gan.discriminator, make_factor())

    return alter


def at(iteration: int, change: Callable[[GAN], Any], repeatedly: bool = False) -> Callable[[GAN], None]:
    """Changes a GAN after an iteration, or each one from there on, without any hook."""

    def alter(gan: GAN) -> None:
        after = gan.after

        def then(t: int, outputs: Outputs) -> None:
            after(t, outputs)
            if t + 1 == iteration or (repeatedly and t >= iteration):
                change(gan)

        gan.after = then

    return alter


def freeze(gan: GAN) -> None:
    gan.discriminator.net[1].requires_grad_(False)


def anneal(gan: GAN) -> None:
    gan.penalties_d["r1"].gamma *= 0.9


def swap_loss(gan: GAN) -> None:
    gan.loss = Saturating()


def evaluate(gan: GAN) -> None:
    gan.discriminator.eval()


def clip(gan: GAN) -> None:
    gan.optim_g.clip = 0.01


def by_numpy(x: Tensor) -> Tensor:
    return 2 + torch.from_numpy(x.detach().numpy().mean(keepdims=True))


def reallocate(gan: GAN) -> None:
    gan.generator.net[0].weight.data = gan.generator.net[0].weight.data.clone()


class Counting(Layer):
    """Counts its calls, and is louder with each."""

    def __init__(self, net: nn.Module):
        super().__init__(net, lambda _: 1 + 0.01 * self.calls)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x)


def count_calls(gan: GAN) -> None:
    gan.discriminator = Counting(gan.discriminator)


class Averaging(nn.Module):
    """Keeps an average in a buffer that is a new tensor each time."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        logits = self.net(x)
        self.mean = 0.9 * self.mean + 0.1 * logits.detach().mean()
        return logits - self.mean


def average(gan: GAN) -> None:
    gan.discriminator = Averaging(gan.discriminator)


class Timed(Saturating):
    """A loss that changes with a time that it reads from a clock of its own."""

    def __init__(self):
        ticks = itertools.count()
        self.clock = lambda: next(ticks)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return super().generator(real, fake) * (1 + 0.01 * self.clock())


def time_loss(gan: GAN) -> None:
    gan.loss = Timed()


def counter() -> Callable[[Tensor], float]:
    """A count that lies in no attribute."""
    ticks = itertools.count()
    return lambda _: 1 + 0.01 * next(ticks)


def drawing() -> Callable[[Tensor], float]:
    random.seed(0)
    return lambda _: random.random()


PROVED_WRONG = "the captured step gives other weights than eager"
MOMENTUM = ("schedule=goodfellow2014", "schedule.discriminator.start=6", "schedule.generator.start=6")
FUSED_SGD = ("optimizer=sgd", "+optimizer.discriminator.fused=true", "+optimizer.generator.fused=true")
PLANTED: dict[str, tuple[str, tuple[str, ...], Callable[[GAN], None]]] = {
    "a layer is frozen": ("discriminator.net.1.weight.requires_grad has changed", (), at(30, freeze)),
    "gamma is annealed": ("penalties_d.r1.gamma has changed", ("penalty=[r1]",), at(20, anneal, repeatedly=True)),
    "gamma is annealed from the start": (
        "penalties_d.r1.gamma has changed", ("penalty=[r1]",), at(0, anneal, repeatedly=True),
    ),
    "the loss is swapped": ("loss has changed", (), at(30, swap_loss)),
    "a part is set to evaluation": (
        "discriminator.training has changed", ("model.discriminator.dropout=0.5",), at(30, evaluate),
    ),
    "clipping changes": ("optim_g.clip has changed", ("clip.generator=0.1",), at(30, clip)),
    "memory moves": ("the memory of a tensor has changed", (), at(30, reallocate)),
    "a momentum on a schedule": ("SGD.momentum has changed", (*FUSED_SGD, *MOMENTUM), lambda gan: None),
    "a layer that counts its calls": ("discriminator.calls has changed", (), count_calls),
    "a layer that counts in a closure": (PROVED_WRONG, (), layer(counter)),
    "a buffer that is replaced": ("discriminator.mean has changed", (), average),
    "a layer that goes through numpy": (
        PROVED_WRONG, (), layer(lambda: by_numpy),
    ),
    "a layer that makes lists": (PROVED_WRONG, (), layer(lambda: lambda x: 1 + 0.1 * sum(x.tolist()))),
    "a layer that draws on the host": ("an update draws random numbers on the host", (), layer(drawing)),
    "a D that reads a value": (
        "aten::_local_scalar_dense: operation not permitted when stream is capturing",
        (), layer(lambda: lambda x: 1 if x.mean() > 0 else 2),
    ),
    "a loss that changes with time": (PROVED_WRONG, (), time_loss),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANTED.values(), ids=PLANTED)
def test_what_a_capture_would_miss_ends_it(state_after: Callable, captured: CapturedStep, lines, case):
    """The run is the eager one to the bit, and one line says why."""
    reason, words, alter = case
    eager = state_after(*words, alter=alter, n=40)
    assert same(state_after(*words, alter=alter, engine=captured, n=40), eager)
    assert lines() == [f"engine=cuda_graph: {reason}; iterations run eagerly"]


class Freezing(Callback):
    """A user callback with a hook in each iteration."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if trainer.global_step == 30:
            freeze(pl_module)


class Watching(Callback):
    def on_after_backward(self, *_: Any) -> None: ...


UNSUPPORTED = {
    "a hook in each iteration": ("a user callback has a hook in each iteration", (), {"callbacks": [Freezing()]}),
    "a hook in each update": ("a user callback has a hook in each iteration", (), {"callbacks": [Watching()]}),
    "an optimizer that counts on the host": (
        "Adagrad has no capturable form",
        ("optimizer=sgd", "optimizer.generator._target_=torch.optim.Adagrad", "~optimizer.generator.momentum"), {},
    ),
    "an optimizer that could count on the device": (
        "Adam counts its steps on the host unless capturable=true", ("optimizer.generator.fused=false",), {},
    ),
    "a rate on the host": (
        "SGD takes a schedule's rate from the host unless fused=true", ("optimizer=sgd", "schedule=linear"), {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_cannot_be_captured_is_not_tried(state_after: Callable, captured, tape: TapeCapture, lines, case):
    reason, words, options = case
    assert same(state_after(*words, engine=captured, n=40, **options), state_after(*words, n=40, **options))
    assert lines() == [f"engine=cuda_graph: {reason}; iterations run eagerly"]
    assert tape.warm_ups == 0
