"""Compiled networks are the networks; where they would not be, or would not pay, a line says so."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small import SMALL
from torch import nn

from ganduel.engine.compiled import compile_networks
from ganduel.model.dropout import Dropout

CUDA = torch.device("cuda")
RUN = (*SMALL, "tracking=none", "callback=[statistics,saturation]", "trainer.compile=true", "trainer.max_steps=2")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Networks that torch has been asked to compile."""
    asked: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda net, dynamic: asked.append(net))
    return asked


def lines(folder: Path) -> list[str]:
    return [
        line.partition("ganduel: ")[2] for line in (folder / "train.log").read_text().splitlines() if "comp" in line
    ]


@pytest.mark.parametrize("extra", [(), ("population.seeds=2",)], ids=["alone", "together"])
def test_without_a_gpu_a_line_says_that_nothing_is_compiled(command: Callable, tmp_path: Path, compiled, extra):
    assert command(*RUN, *extra, "hydra.run.dir=run").code == 0
    assert compiled == []
    reason = "members are batched by vmap; their" if extra else "it pays on a CUDA device, and this run is on cpu; the"
    assert lines(tmp_path / "run") == [f"trainer.compile: {reason} networks run as they are"]


def test_on_a_gpu_both_are_compiled(compiled):
    g, d = nn.Linear(2, 2), nn.Linear(2, 1)
    compile_networks(g, d, penalised=False, device=CUDA)
    assert compiled == [g, d]


def test_a_penalised_d_and_networks_with_masks_of_ours_run_as_they_are(compiled, caplog):
    caplog.set_level(logging.INFO, "ganduel")
    g, d = nn.Linear(2, 2), nn.Linear(2, 1)
    compile_networks(g, d, penalised=True, device=CUDA)
    compile_networks(nn.Sequential(g, Dropout(0.5)), d, penalised=False, device=CUDA)
    assert compiled == [g, d]
    assert [record.getMessage() for record in caplog.records] == [
        "trainer.compile: the penalty differentiates D twice; D runs as it is",
        "trainer.compile: net.1 draws from the iteration's number; G runs as it is",
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.usefixtures("untyped")
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@pytest.mark.parametrize(
    "words", [("k=2",), ("penalty=r1",), ("trainer.cuda_graph=true", "model.generator.norm=batch")]
)
def test_on_a_gpu_a_compiled_run_follows_the_other(command: Callable, tmp_path: Path, words: tuple[str, ...]):
    run = (*RUN, *words, "trainer.accelerator=gpu", "trainer.max_steps=50", "callback.saturation.gradient_every=10")
    assert command(*run, "hydra.run.dir=compiled").code == 0
    assert command(*run, "trainer.compile=false", "hydra.run.dir=plain").code == 0
    ends = [json.loads((tmp_path / name / "summary.json").read_text())["metrics"] for name in ("compiled", "plain")]
    for key in ends[0].keys() - {"seconds", "speed/images_per_second"}:
        assert ends[0][key] == pytest.approx(ends[1][key], rel=2e-2, abs=1e-3), key
