"""The profile's parts add up to the iteration that they are parts of, and its limits are what they are said to be."""

import json
import types
from collections.abc import Iterator

import pytest
import torch
from script_modules import imported
from torch.utils.flop_counter import FlopCounterMode

from ganduel.data.mnist import MNIST

WARMUP, ITERATIONS = 1, 2

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's, which a run silences and pytest lets be heard again


@pytest.fixture(scope="module")
def script() -> Iterator[types.ModuleType]:
    with imported("profile_step") as module:
        module.run.quiet()
        yield module


@pytest.fixture(scope="module")
def work(script):
    return script.Work(MNIST(), batch_size=8, warmup=WARMUP, iterations=ITERATIONS, settings=script.DEFAULT)


def test_parts_add_up_to_the_iterations(script, work):
    stopwatch = script.Stopwatch(work)
    with script.silence():
        block = script.ours(work, callbacks=[stopwatch])
    assert sum(stopwatch.total.values()) == pytest.approx(block.seconds, rel=0.05)
    expected = {
        "Adam of D",
        "Adam of G",
        "average of G",
        "backward of D's loss",
        "backward of G's loss",
        "forward of D",
    }
    expected |= {"forward of G", "minibatch", "noise", "norms of gradients", "zero_grad", script.LOOP, script.STEP}
    assert expected == {part for part in stopwatch.total if not part.startswith("callback ")}
    assert all(seconds > 0 for seconds in stopwatch.total.values())


@pytest.mark.slow
def test_watching_changes_no_weight(script, work):
    with script.silence():
        plain, watched = script.ours(work), script.ours(work, callbacks=[script.Stopwatch(work)])
    for a, b in ((plain.generator, watched.generator), (plain.discriminator, watched.discriminator)):
        assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_time_is_charged_to_the_innermost_part(script, work, monkeypatch):
    """Readings 0 to 4: one second before the outer part, one on each side of the inner one, which has one too."""
    readings = iter(range(5))
    monkeypatch.setattr(script, "perf_counter", lambda: next(readings))
    inner = types.SimpleNamespace(call=lambda: 7)
    outer = types.SimpleNamespace(call=lambda: inner.call())
    stopwatch = script.Stopwatch(work)
    stopwatch.watch(inner, "call", "inner")
    stopwatch.watch(outer, "call", lambda: "outer")
    stopwatch.since = next(readings)
    assert outer.call() == 7
    assert stopwatch.seconds == {script.LOOP: 1, "outer": 2, "inner": 1}


def test_nothing_inside_a_callback_is_charged_apart(script, work):
    inner = types.SimpleNamespace(call=lambda: None)
    callback = types.SimpleNamespace(hook=lambda: inner.call())
    stopwatch = script.Stopwatch(work)
    stopwatch.watch(inner, "call", "inner")
    stopwatch.watch(callback, "hook", "callback", seal=True)
    callback.hook()
    assert set(stopwatch.seconds) == {script.LOOP, "callback"}


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("aten::addmm", "matmuls"),
        ("aten::native_batch_norm_backward", "batch norm"),
        ("aten::_fused_adam_", "Adam"),
        ("aten::lerp_", "average of G"),
        ("aten::linalg_vector_norm", "norms of gradients"),
        ("aten::_foreach_norm", "norms of gradients"),
        ("aten::leaky_relu_backward", "activations"),
        ("aten::sum", "gradients of biases"),
        ("aten::copy_", "copies, concatenation, rows of data"),
        ("aten::normal_", "other kernels, autograd, dispatch"),
        ("autograd::engine::evaluate_function: AddmmBackward0", "other kernels, autograd, dispatch"),
    ],
)
def test_kinds_of_kernels(script, kernel, kind):
    assert script.kind(kernel) == kind


@pytest.mark.slow
def test_file_holds_every_case(script, tmp_path, capsys):
    path = tmp_path / "deep" / "profile.json"
    script.main(["--tiny", "--out", str(path)])
    results = json.loads(path.read_text(encoding="utf-8"))
    assert list(results["cases"]) == ["batch 64", "batch 256", "default recipe"]
    assert results["copy_bytes_per_second"] > 0
    for case in results["cases"].values():
        ms = case["milliseconds"]
        assert sum(case["parts"].values()) == pytest.approx(ms["watched"], rel=0.05)
        assert sum(case["kernels"].values()) == pytest.approx(ms["profiled"])
        assert case["share_of_limit"] == ms["matmuls"] / ms["ours"]
        assert case["kernels"]["matmuls"] > 0
    assert [case["batch_size"] for case in results["cases"].values()] == [64, 256, 128]
    assert "matmuls / ours" in capsys.readouterr().out


def test_default_recipe_is_counted_as_torch_counts_it(script, work):
    """The limit is the arithmetic of one iteration; torch counts warm-up and timed ones."""
    shapes = script.shapes_of_matmuls(*work.networks(), work.batch_size)
    with FlopCounterMode(display=False) as counter:
        script.hand_tuned(work)
    assert counter.get_total_flops() == (WARMUP + ITERATIONS) * sum(2 * m * k * p for m, k, p in shapes)
