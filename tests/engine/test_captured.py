"""A captured update is the update, to the bit, and what is not is not trusted: on tape (tests/tape.py)."""

from collections.abc import Callable
from operator import call
from pathlib import Path
from typing import Any

import pytest
import torch
from states import same
from tape import NoReads, TapeCapture
from torch import Tensor, nn
from torch.optim import Optimizer

from ganduel.batch import Batches, Outputs
from ganduel.data.base import TensorData
from ganduel.engine.captured import CapturedStep
from ganduel.gan import GAN

SETTINGS = {
    "plain": (),
    "k=2, clipped": ("k=2", "clip.discriminator=0.1", "clip.generator=0.1"),
    "penalised": ("penalty=[r1]",),
    "saturating, sgd": ("loss=saturating", "optimizer=sgd"),
    "linear schedule": ("schedule=linear",),
    "batch norm": ("model.generator.norm=batch", "model.discriminator.norm=batch"),
    "spectral norm": ("model.discriminator.norm=spectral",),
    "dropout": ("model.discriminator.dropout=0.5",),
    "no average": ("ema=null",),
    "points": ("data=ring8",),
}


@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_a_capture_changes_no_bit(state_after: Callable, captured: CapturedStep, tape: TapeCapture, lines, words):
    plain = state_after(*words)
    assert same(state_after(*words, engine=captured), plain)
    assert lines() == []
    assert (tape.warm_ups, tape.captures, tape.launches) == (3 + 1, 1, 1 + 2 + 7)


@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_an_iteration_reads_nothing_back(train: Callable[..., GAN], words: tuple[str, ...]):
    """Nowhere in an iteration does the host wait for the device: on a GPU, Python runs ahead of it."""
    kernels = []

    def watch(gan: GAN) -> None:
        iterate = gan.iterate

        def watched(t: int) -> Outputs:
            with NoReads() as mode:
                outputs = iterate(t)
            kernels.append(mode.names)
            return outputs

        gan.iterate = watched

    train(*words, n=6, alter=watch)
    assert len(kernels) == 6
    assert all(len(names) > 50 for names in kernels)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_in_each_precision(state_after: Callable, captured: CapturedStep, tape: TapeCapture, lines, precision: str):
    options = {"precision": precision, "n": 8}
    assert same(state_after(engine=captured, **options), state_after(**options))
    assert (tape.launches, lines()) == (6, [])


def test_each_set_of_penalties_has_a_capture_of_its_own(state_after: Callable, captured, tape: TapeCapture, lines):
    """R1 in each fifth iteration: 8 with it and 32 without."""
    words = ("penalty=[r1]", "penalty.r1.every=5")
    assert same(state_after(*words, engine=captured, n=40), state_after(*words, n=40))
    assert lines() == []
    assert (tape.warm_ups, tape.captures) == (2 * 4, 2)
    assert tape.launches == (1 + 2 + 3) + (1 + 2 + 27)


class Conditional(nn.Module):
    """A network that sees its label beside its input."""

    classes = 3

    def __init__(self, net: nn.Module, width: int):
        super().__init__()
        self.net, self.embedding = net, nn.Embedding(3, width)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.net(x + self.embedding(y).view(x.shape))


def test_numbers_are_copies(train: Callable[..., GAN], captured: CapturedStep):
    """The next iteration overwrites none of them."""
    graphed, eager = train(engine=captured), train()
    for name in ("loss/d", "loss/g", "loss/penalty_d", "grad/norm_d", "grad/norm_g"):
        losses = [[outputs[name] for outputs in gan.block_outputs] for gan in (graphed, eager)]
        assert same(*losses)
        assert len(losses[0]) == 12


class Pair(GAN):
    """Returns what a population of two would: numbers of shape (2,), logits of shape (2, batch)."""

    def update(self, batch: Any, due: Any = ()) -> Outputs:
        return {name: torch.stack([value, value]) for name, value in super().update(batch, due).items()}

    def optimizers_in_use(self) -> list[Optimizer]:
        return [self.optim_d.optimizer, self.optim_g.optimizer]


def test_numbers_of_a_population_are_copies(train: Callable[..., GAN], gan_of, captured: CapturedStep, tape):
    def pair(*words: str) -> GAN:
        gan = gan_of(*words)
        gan.__class__ = Pair
        return gan

    graphed, eager = train(engine=captured, make=pair), train(make=pair)
    assert same(*([outputs["loss/d"] for outputs in gan.block_outputs] for gan in (graphed, eager)))
    assert graphed.block_outputs[-1]["loss/d"].shape == (2,)
    assert tape.launches == 10


def test_labels_are_copied_in(train: Callable, gan_of: Callable, state_of, captured, tape: TapeCapture, lines):
    data = TensorData(torch.arange(72, dtype=torch.uint8).mul(3).reshape(12, 1, 2, 3), torch.arange(12) % 3)

    def conditional(*words: str) -> GAN:
        plain = gan_of(*words)
        batches = Batches(data, plain.generator.draw, batch_size=4)
        networks = Conditional(plain.generator, 3), Conditional(plain.discriminator, 6)
        return GAN(*networks, plain.loss, batches, plain.optim_d, plain.optim_g)

    states = [state_of(train(engine=engine, make=conditional)) for engine in (captured, call)]
    assert same(*states)
    assert (tape.launches, lines()) == (10, [])


def test_a_run_goes_on_from_a_checkpoint(train: Callable, state_of, captured, tape: TapeCapture, tmp_path: Path):
    half = train("schedule=linear", engine=captured, n=8)
    half.trainer.save_checkpoint(tmp_path / "half.ckpt")
    resumed = train("schedule=linear", engine=CapturedStep(tape), n=16, checkpoint=tmp_path / "half.ckpt")
    assert same(state_of(resumed), state_of(train("schedule=linear", n=16)))
    assert tape.captures == 2


def test_another_fit_starts_over(train: Callable, state_of, captured, tape: TapeCapture, lines):
    gans = [train(engine=engine, n=8) for engine in (captured, call)]
    gans = [train(engine=gan.engine, n=8, make=lambda gan=gan: gan) for gan in gans]
    assert same(*map(state_of, gans))
    assert (tape.captures, lines()) == (2, [])
