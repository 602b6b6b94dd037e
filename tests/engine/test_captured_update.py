"""A captured update is the update, to the bit, of a GAN alone and of a population: on tape (tests/tape.py)."""

from collections.abc import Callable
from operator import call
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from states import same
from tape import NoReads, TapeCapture
from torch import Tensor, nn
from torch.optim import Optimizer

from ganduel.batch import Batches, Outputs
from ganduel.checkpoint import LAST, read
from ganduel.data.base import TensorData
from ganduel.engine.base import optimizers_of, unsupported_reason
from ganduel.engine.captured import CapturedStep
from ganduel.gan import GAN
from ganduel.population import trainer
from ganduel.population.gan import StackedGAN
from ganduel.population.trainer import MemberSpec, train_members
from ganduel.run import prepare

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
    "unrolled": ("unroll=2", "penalty=[r1]", "optimizer=sgd", "clip.discriminator=0.1"),
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


# Populations

CHOICES = dict.fromkeys(("loss", "model", "data", "optimizer", "schedule", "trainer"), "any")
WORDS = ("data=ring8", "tracking=none", "callback=[statistics]", "checkpoint_min_seconds=0", "trainer.max_steps=14")
POPULATIONS: dict[str, list[tuple[str, ...]]] = {
    "seeds": [(), (), ()],
    "groups": [("loss=saturating", "schedule=linear"), ("schedule=linear",), ("schedule=linear",)],
    "batch norm, R1": [("model.generator.norm=batch", "k=2", "penalty=[r1]")] * 2,
    "dropout": [("model.discriminator.dropout=0.5",)] * 2,
}


class Hook(Callback):
    """A user callback."""

    def on_train_batch_end(self, *_: Any) -> None: ...


@pytest.fixture
def checkpoints(tiny: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, untyped: None) -> Callable[..., list]:
    """A function that trains members, with an engine of the stack's, and returns their checkpoints."""

    def train(
        members: list[tuple[str, ...]], engine: CapturedStep | None = None, ends: int | None = None
    ) -> list[dict]:
        class Engined(StackedGAN):
            def __init__(self, *args: Any):
                super().__init__(*args)
                self.engine = engine or self.engine

        specs = []
        for i, words in enumerate(members):
            folder = tmp_path / f"{'plain' if engine is None else 'captured'}{i}"
            folder.mkdir()
            words = (*words, f"seed={i}")
            specs.append(MemberSpec(folder.name, prepare.start(tiny(*WORDS, *words), folder, CHOICES, words), folder))
        monkeypatch.setattr(trainer, "StackedGAN", Engined)
        train_members(specs, bar=False)
        paths = [spec.folder / "checkpoints" / LAST for spec in specs]
        return [read(path) if path.exists() else {} for path in paths]

    return train


def same_members(some: list[dict], others: list[dict]) -> bool:
    keys = ("state_dict", "optimizer_states", "lr_schedulers")
    return all(same(a.get(key), b.get(key)) for a, b in zip(some, others, strict=True) for key in keys)


@pytest.mark.slow
@pytest.mark.parametrize("members", POPULATIONS.values(), ids=POPULATIONS)
def test_members_are_captured_together(
    checkpoints: Callable, captured: CapturedStep, tape: TapeCapture, lines, members
):
    pairs = zip(checkpoints(members, captured), checkpoints(members), strict=True)
    assert all(same(a[key], b[key]) for a, b in pairs for key in ("state_dict", "optimizer_states", "lr_schedulers"))
    assert (tape.warm_ups, tape.captures, tape.launches, lines()) == (3 + 1, 1, 1 + 2 + 9, [])


@pytest.mark.slow
def test_when_one_ends_the_others_are_captured_anew(
    checkpoints: Callable, captured, tape: TapeCapture, lines: Callable
):
    """It diverges before the first row; fewer members are other optimizers, and other batches."""
    diverging = ("log_every=7", "optimizer=sgd", "optimizer.discriminator.lr=3", "penalty=[r1]")
    members = [("log_every=7",), diverging, ("log_every=7",)]
    some, others = checkpoints(members, captured), checkpoints(members)
    assert [bool(checkpoint) for checkpoint in some] == [True, False, True]
    assert same_members(some, others)
    assert (tape.warm_ups, tape.captures, tape.launches, lines()) == (2 * 4, 2, (1 + 2 + 0) + (1 + 2 + 4), [])


def test_a_hook_of_one_member_s_callback_is_enough(fit: Callable, gan_of: Callable):
    gan = gan_of()
    fit(gan=gan)
    assert unsupported_reason(gan, optimizers_of(gan)) is None
    gan.members = [SimpleNamespace(trainer=Trainer(accelerator="cpu", callbacks=[Hook()], logger=False))]
    assert unsupported_reason(gan, optimizers_of(gan)) == "a user callback has a hook in each iteration"
