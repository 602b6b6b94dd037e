"""Compiled networks are the networks; where they would not be, they run as they are and a line says so."""

from collections.abc import Callable
from operator import call
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from states import same
from torch import Tensor, nn
from torch.testing import assert_close

from ganduel.engine.compile import CompiledStep, build
from ganduel.gan import GAN

PLAIN = "the networks run as they are"
ON_CPU = {"accelerator": "cpu", "devices": 1, "num_nodes": 1}


class Compiler:
    """Takes the place of torch.compile: what it gives calls the function, off by an error."""

    def __init__(self):
        self.functions: list[Callable] = []
        self.calls, self.error = 0, 0.0

    def __call__(self, function: Callable, dynamic: bool) -> Callable:
        assert not dynamic
        self.functions.append(function)

        def compiled(*args: Tensor) -> Tensor:
            self.calls += 1
            return function(*args) + self.error

        return compiled


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    compiler = Compiler()
    monkeypatch.setattr(torch, "compile", compiler)
    return compiler


def forwards(gan: GAN) -> list[Callable]:
    return [gan.generator.forward, gan.discriminator.forward]


def test_both_networks_are_compiled_inside_updates_only(train: Callable[..., GAN], compiler: Compiler, lines: Callable):
    seen = []

    def watch(gan: GAN) -> None:
        after = gan.after
        gan.after = lambda t, outputs: (seen.append(forwards(gan)), after(t, outputs))

    gan = train(engine=build(ON_CPU), n=6, alter=watch)
    assert compiler.functions == forwards(gan)
    assert seen == [forwards(gan)] * 6
    assert "forward" not in vars(gan.generator)
    assert compiler.calls == (2 + 2) * (1 + 3)  # G and D in both updates: in the proof, and in three iterations
    assert lines() == []


def test_a_function_of_the_user_in_the_place_of_forward_comes_back(train: Callable[..., GAN], compiler: Compiler):
    function = []

    def patch(gan: GAN) -> None:
        forward = gan.generator.forward
        function.append(lambda z: 2 * forward(z))
        gan.generator.forward = function[0]

    gan = train(engine=build(ON_CPU), n=6, alter=patch)
    assert compiler.functions[0] is gan.generator.forward is function[0]


@pytest.mark.parametrize("error", [0.0, 0.1])
def test_a_run_is_the_same_but_for_rounding(state_after: Callable, compiler: Compiler, lines: Callable, error: float):
    """With an error it is the same to the bit: the compiled networks are given up before they have had a part."""
    compiler.error = error
    assert same(state_after(engine=CompiledStep(call), n=8), state_after(n=8))
    line = "engine=compile: compiled networks give other weights than eager; the networks run as they are"
    assert lines() == [line] * (error > 0)


def test_without_a_compiler_a_line_says_so(state_after: Callable, monkeypatch: pytest.MonkeyPatch, lines: Callable):
    def compile(function: Callable, dynamic: bool) -> Callable:
        def compiled(*args: Tensor) -> Tensor:
            raise RuntimeError("no C++ compiler\nand much more")

        return compiled

    monkeypatch.setattr(torch, "compile", compile)
    assert same(state_after(engine=build(ON_CPU), n=6), state_after(n=6))
    assert lines() == ["engine=compile: compiled networks give an error: no C++ compiler; the networks run as they are"]


class Counting(nn.Module):
    """Counts its calls, and is louder with each."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.net(x) * (1 + 0.01 * self.calls)


class Hook(Callback):
    def on_train_batch_end(self, *_: Any) -> None: ...


def count_calls(gan: GAN) -> None:
    gan.discriminator = Counting(gan.discriminator)


SKIPPED = {
    "R1": (("penalty=[r1]",), {}, "D is differentiated twice; D runs as it is", 1),
    "unrolled": (("unroll=1",), {}, "D is differentiated twice; D runs as it is", 1),
    "dropout": (("model.discriminator.dropout=0.5",), {}, "D has layers that draw at random; D runs as it is", 1),
    "a hook": (
        (),
        {"callbacks": [Hook()]},
        "a user callback has a hook in each iteration; the networks run as they are",
        0,
    ),
    "a count": ((), {"alter": count_calls}, "discriminator.calls has changed; the networks run as they are", 2),
}


@pytest.mark.parametrize("case", SKIPPED.values(), ids=SKIPPED)
def test_what_cannot_be_compiled_runs_as_it_is(state_after: Callable, compiler: Compiler, lines: Callable, case):
    words, options, line, n = case
    assert same(state_after(*words, engine=build(ON_CPU), n=6, **options), state_after(*words, n=6, **options))
    assert lines() == [f"engine=compile: {line}"]
    assert len(compiler.functions) == n


def test_compiled_networks_can_be_captured(state_after: Callable, compiler: Compiler, captured, tape, lines):
    """As on a GPU: proved, warmed up, captured."""
    assert same(state_after(engine=CompiledStep(captured), n=12), state_after(n=12))
    assert (tape.warm_ups, tape.captures, tape.launches, lines()) == (3 + 1, 1, 1 + 2 + 4, [])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_by_torch_s_own_compiler(state_after: Callable, lines: Callable, precision: str):
    """Takes a minute, and a compiler for C++ or a GPU."""
    options = {"n": 8, "precision": precision}
    compiled, eager = state_after(engine=build(ON_CPU), **options), state_after(**options)
    assert lines() == []
    assert_close(compiled["weights"], eager["weights"], rtol=1e-2, atol=1e-2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("words", [("k=2",), ("penalty=[r1]",), ("model.generator.norm=batch",)])
def test_on_a_gpu_a_compiled_run_follows_the_other(state_after: Callable, words: tuple[str, ...]):
    options = {"n": 50, "accelerator": "gpu", "devices": 1}
    engine = build({"accelerator": "gpu", "devices": 1, "num_nodes": 1})
    compiled, eager = state_after(*words, engine=engine, **options), state_after(*words, **options)
    assert_close(compiled["weights"], eager["weights"], rtol=2e-2, atol=1e-2)
