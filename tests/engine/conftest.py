"""Tiny GANs, trained with an engine on tape or eagerly."""

import logging
from collections.abc import Callable
from operator import call
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from tape import TapeCapture

from ganduel.batch import Engine
from ganduel.engine.captured import CapturedStep
from ganduel.factory.gan import build_gan
from ganduel.factory.part import build
from ganduel.gan import GAN
from ganduel.run.run import quiet


@pytest.fixture
def gan_of(tiny: Callable[..., dict[str, Any]], images: Any) -> Callable[..., GAN]:
    """A tiny GAN from overrides."""

    def make(*words: str) -> GAN:
        config = tiny(*words)
        data = build(config["data"]) if any(word.startswith("data=") for word in words) else images
        return build_gan(config, data)

    return make


@pytest.fixture
def train(gan_of: Callable[..., GAN], untyped: None) -> Callable[..., GAN]:
    """A function that trains a GAN with an engine, by default eagerly, and returns it.

    Without beartype, which draws random numbers on the host.
    """

    def train(
        *words: str,
        engine: Engine = call,
        n: int = 12,
        alter: Callable[[GAN], Any] = lambda gan: None,
        checkpoint: Path | None = None,
        make: Callable[..., GAN] = gan_of,
        **options: Any,
    ) -> GAN:
        torch.manual_seed(0)
        gan = make(*words)
        alter(gan)
        gan.engine = engine
        quiet()
        options = {"accelerator": "cpu", "enable_checkpointing": False, "logger": False, **options}
        trainer = Trainer(max_steps=n, max_epochs=-1, enable_progress_bar=False, enable_model_summary=False, **options)
        trainer.fit(gan, ckpt_path=checkpoint, weights_only=False)
        return gan

    return train


@pytest.fixture
def state_of() -> Callable[[GAN], dict[str, Any]]:
    """What has come out of a training: weights, optimizers and the last outputs."""

    def state_of(gan: GAN) -> dict[str, Any]:
        optimizers = [optimizer.state_dict() for optimizer in gan.trainer.optimizers]
        return {"weights": gan.state_dict(), "optimizers": optimizers, "outputs": gan.block_outputs[-1]}

    return state_of


@pytest.fixture
def state_after(train: Callable[..., GAN], state_of: Callable) -> Callable[..., dict[str, Any]]:
    """As `train`, but returns the state."""
    return lambda *words, **options: state_of(train(*words, **options))


@pytest.fixture
def tape() -> TapeCapture:
    return TapeCapture()


@pytest.fixture
def captured(tape: TapeCapture) -> CapturedStep:
    """The engine on tape."""
    return CapturedStep(tape)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What engines have said so far."""
    caplog.set_level(logging.INFO, "ganduel")
    return lambda: [r.getMessage() for r in caplog.records if r.getMessage().startswith("engine=")]
