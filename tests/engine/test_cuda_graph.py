"""CUDA graphs: on a GPU they follow the run without. What needs no GPU to be seen is in test_captured_update.py."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from ganduel.batch import Outputs
from ganduel.engine.captured import CapturedStep
from ganduel.engine.cuda_graph import CUDACapture, build
from ganduel.errors import UserError
from ganduel.factory.gan import build_engine
from ganduel.gan import GAN

ON_CPU = {"accelerator": "cpu", "devices": 1, "num_nodes": 1}
ON_GPU = {"accelerator": "gpu", "devices": 1}
SETTINGS = {
    "plain": (),
    "k=2, clipped": ("k=2", "clip.discriminator=0.1", "clip.generator=0.1"),
    "penalised": ("penalty=[r1]", "penalty.r1.every=3"),
    "saturating, sgd": ("loss=saturating", "optimizer=sgd"),
    "linear schedule": ("schedule=linear",),
    "batch norm": ("model.generator.norm=batch", "model.discriminator.norm=batch"),
    "spectral norm": ("model.discriminator.norm=spectral",),
    "dropout": ("model.discriminator.dropout=0.5",),
    "unrolled": ("unroll=2", "clip.discriminator=0.1"),
}
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_without_a_gpu_one_line_says_what_to_type():
    message = r"^engine=cuda_graph needs a CUDA device, and this run is on cpu\. Use engine=auto\.$"
    with pytest.raises(UserError, match=message):
        build(ON_CPU)


@gpu
def test_auto_is_a_graph_on_one_gpu():
    assert isinstance(build_engine("auto", {**ON_GPU, "num_nodes": 1}), CapturedStep)


@gpu
@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_a_graph_follows_the_run_without(state_after: Callable, lines: Callable, words: tuple[str, ...]):
    engine = CapturedStep(CUDACapture())
    captured, eager = state_after(*words, n=50, engine=engine, **ON_GPU), state_after(*words, n=50, **ON_GPU)
    assert lines() == []
    assert all(update.proved for update in engine.captured.values())
    assert_close(captured["weights"], eager["weights"], rtol=1e-2, atol=1e-3)


@gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_the_host_never_waits(train: Callable[..., GAN], words: tuple[str, ...]):
    """From the iteration after the last proof on."""

    def strict(gan: GAN) -> None:
        iterate = gan.iterate

        def watched(t: int) -> Outputs:
            torch.cuda.set_sync_debug_mode("error" if t > 20 else "default")
            try:
                return iterate(t)
            finally:
                torch.cuda.set_sync_debug_mode("default")

        gan.iterate = watched

    train(*words, n=30, engine=CapturedStep(CUDACapture()), alter=strict, **ON_GPU)


class Reading(nn.Module):
    """Python decides by a value."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        logits = self.net(x)
        return logits * (1 if logits.mean() > 0 else 2)


@gpu
def test_after_a_capture_that_failed_all_is_as_before(state_after: Callable, lines: Callable):
    """The stream is the old one, and masks are drawn as before: torch's generators must be told."""

    def read(gan: GAN) -> None:
        gan.discriminator = Reading(gan.discriminator)

    words, options = ("model.discriminator.dropout=0.5",), {"n": 20, "alter": read, **ON_GPU}
    stream = torch.cuda.current_stream()
    captured = state_after(*words, engine=CapturedStep(CUDACapture()), **options)
    assert torch.cuda.current_stream() == stream
    (line,) = lines()
    assert line.startswith("engine=cuda_graph: ")
    assert line.endswith("; iterations run eagerly")
    assert "captur" in line
    assert_close(captured["weights"], state_after(*words, **options)["weights"], rtol=1e-3, atol=1e-4)


@gpu
def test_a_run_goes_on_from_its_checkpoint(train: Callable[..., GAN], state_of: Callable, tmp_path: Path):
    whole = train(n=40, engine=CapturedStep(CUDACapture()), **ON_GPU)
    train(n=20, engine=CapturedStep(CUDACapture()), **ON_GPU).trainer.save_checkpoint(tmp_path / "half.ckpt")
    options = {"checkpoint": tmp_path / "half.ckpt", **ON_GPU}
    parts = train(n=40, engine=CapturedStep(CUDACapture()), **options)
    assert_close(state_of(parts)["weights"], state_of(whole)["weights"], rtol=1e-3, atol=1e-4)
