"""Where the time of our iteration goes, and what the arithmetic alone would take.

    python scripts/profile_step.py --out benchmarks/step_profile.json      two cores: five minutes

Cases: the benchmark's networks at batches 64 and 256, and the default recipe, `python train.py`. In a real Trainer.fit
a stopwatch stands at every part of the iteration; it is always charged to exactly one part, so that the parts add up
to the iteration. Iterations are done in blocks, as in any run: what Lightning and the callbacks do between blocks
counts, spread over their iterations. A second table has the same iteration by kinds of kernel, from torch.profiler,
which slows it down.

    limit      the iteration's matrix multiplications in the time that they take alone: step_loops.matmuls
    traffic    Adam reads parameter, gradient and two moments, and writes all but the gradient: 7 · 4 bytes per weight
               in float32, over the bandwidth of a large copy, whose bytes count as read and as written
"""

import functools
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import blocks
import lightning.pytorch as lightning
import torch
from blocks import Iterate, silence
from rich.console import Console
from rich.table import Table
from step_loops import DEFAULT, SETTINGS, Clock, Work, hand_tuned, matmuls, ours, shapes_of_matmuls
from torch.profiler import ProfilerActivity, profile

from ganduel.callback.base import gan_of
from ganduel.data.mnist import MNIST
from ganduel.run import run

CASES: dict[str, tuple[Sequence[str], int]] = {
    "batch 64": (SETTINGS, 64),
    "batch 256": (SETTINGS, 256),
    "default recipe": (DEFAULT, 128),
}
LOOP, STEP = "Lightning's loop", "iterate: losses, concatenation, Python"
KINDS = {  # a kernel is of the first kind of which its name contains a word
    "matmuls": ("mm",),
    "batch norm": ("batch_norm",),
    "Adam": ("adam",),
    "average of G": ("lerp",),
    "norms of gradients": ("foreach_norm", "vector_norm"),
    "activations": ("relu", "tanh"),
    "gradients of biases": ("::sum",),
    "copies, concatenation, rows of data": ("copy", "::cat", "::index"),
}
REST = "other kernels, autograd, dispatch"


class Stopwatch(lightning.Callback):
    """Charges every moment of the timed iterations to one part: the innermost that is under way.

    Nothing inside a callback is charged apart, so that a part is training alone.
    """

    def __init__(self, work: Work):
        self.clock = Clock(work)
        self.seconds: dict[str, float] = defaultdict(float)
        self.path, self.since, self.sealed = [LOOP], 0.0, False

    def charge(self) -> None:
        now = perf_counter()
        self.seconds[self.path[-1]] += now - self.since
        self.since = now

    def watch(self, owner: Any, method: str, part: str | Callable[[], str], seal: bool = False) -> None:
        """Stand at a method of an object; a part may depend on when it is called."""
        call = getattr(owner, method)

        @functools.wraps(call)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self.sealed:
                return call(*args, **kwargs)
            self.charge()
            self.path.append(part if isinstance(part, str) else part())
            self.sealed = seal
            try:
                return call(*args, **kwargs)
            finally:
                self.charge()
                self.path.pop()
                self.sealed = False

        setattr(owner, method, timed)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        gan = gan_of(trainer)
        weight = next(gan.discriminator.parameters())
        self.watch(gan, "iterate", STEP)
        self.watch(gan.batches, "noise", "noise")
        self.watch(gan.batches, "seed_draws", "noise")
        self.watch(gan.batches.data, "minibatch", "minibatch")
        self.watch(gan.generator, "forward", "forward of G")
        self.watch(gan.discriminator, "forward", "forward of D")
        self.watch(gan, "manual_backward", lambda: f"backward of {'D' if weight.requires_grad else 'G'}'s loss")
        self.watch(gan, "on_before_optimizer_step", "norms of gradients")
        for name, optimizer in zip("DG", trainer.optimizers, strict=True):
            self.watch(optimizer, "step", f"Adam of {name}")
            self.watch(optimizer, "zero_grad", "zero_grad")
        if gan.ema is not None:
            self.watch(gan.ema, "update", "average of G")
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if callback is not self:
                for hook in ("on_train_batch_start", "on_train_batch_end"):
                    self.watch(callback, hook, f"callback {type(callback).__name__}", seal=True)
        gan.iterate = between(gan.iterate, self.clock, self.begin, self.end)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        del gan_of(trainer).batches.data.minibatch  # other blocks have the same data

    def begin(self) -> None:
        self.seconds.clear()
        self.since = perf_counter()

    def end(self) -> None:
        self.charge()
        self.total = dict(self.seconds)


class Kernels(lightning.Callback):
    """Runs torch.profiler over the timed iterations."""

    def __init__(self, work: Work):
        self.clock = Clock(work)
        self.profile = profile(activities=[ProfilerActivity.CPU])

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        gan = gan_of(trainer)
        gan.iterate = between(gan.iterate, self.clock, self.profile.start, self.profile.stop)

    def seconds(self) -> dict[str, float]:
        """Each kind's own time on the thread that trains; what is in no kernel is Python's and Lightning's."""
        seconds = dict.fromkeys([*KINDS, REST], 0.0)
        for event in self.profile.key_averages():
            seconds[kind(event.key)] += event.self_cpu_time_total / 1e6
        return seconds


def between(iterate: Iterate, clock: Clock, begin: Callable[[], None], end: Callable[[], None]) -> Iterate:
    """The function, with calls before the first and after the last of the iterations that the clock times."""

    def watched(t: int) -> Any:
        if t == clock.start:
            begin()
        elif t == clock.end:
            end()
        return iterate(t)

    return watched


def kind(kernel: str) -> str:
    """The kind of a kernel by its name."""
    if not kernel.startswith("aten::"):
        return REST
    return next((name for name, words in KINDS.items() if any(word in kernel for word in words)), REST)


def copy_bandwidth(megabytes: int, times: int) -> float:
    """Bytes per second that a copy reads and writes, the best of several: those of memory, if no cache holds it."""
    source = torch.ones(megabytes * 2**20 // 4)
    target = torch.empty_like(source).copy_(source)
    seconds = []
    for _ in range(times):
        start = perf_counter()
        target.copy_(source)
        seconds.append(perf_counter() - start)
    return 2 * source.nbytes / min(seconds)


def measure(work: Work, rounds: int) -> dict[str, Any]:
    """One case: blocks of the plain fit, the watched fit, the hand-tuned loop and the matmuls, in turn."""
    generator, discriminator = work.networks()
    flops = sum(2 * m * k * p for m, k, p in shapes_of_matmuls(generator, discriminator, work.batch_size))
    weights = sum(p.numel() for net in (generator, discriminator) for p in net.parameters())
    times: dict[str, list[float]] = defaultdict(list)
    parts: list[dict[str, float]] = []
    with silence():
        for _ in range(rounds):
            for loop in (ours, hand_tuned, matmuls):
                times[loop.__name__].append(loop(work).seconds)
            stopwatch = Stopwatch(work)
            times["watched"].append(ours(work, callbacks=[stopwatch]).seconds)
            parts.append(stopwatch.total)
        kernels = Kernels(work)
        times["profiled"].append(ours(work, callbacks=[kernels]).seconds)
    milliseconds = {name: 1000 * statistics.median(values) / work.iterations for name, values in times.items()}
    watched = parts[times["watched"].index(statistics.median_low(times["watched"]))]  # one block: its parts add up
    kinds = kernels.seconds()
    kinds["Python and Lightning, in no kernel"] = times["profiled"][0] - sum(kinds.values())
    return {
        "batch_size": work.batch_size,
        "milliseconds": milliseconds,
        "parts": {part: 1000 * s / work.iterations for part, s in sorted(watched.items(), key=lambda x: -x[1])},
        "kernels": {name: 1000 * s / work.iterations for name, s in kinds.items()},
        "matmuls": {"flop": flops, "gflop_per_second": flops / milliseconds["matmuls"] / 1e6},
        "adam": {"weights": weights, "bytes": 7 * 4 * weights},
        "share_of_limit": milliseconds["matmuls"] / milliseconds["ours"],
        "rounds": {name: [1000 * s / work.iterations for s in values] for name, values in times.items()},
    }


def tables(name: str, case: dict[str, Any], bandwidth: float) -> list[Table]:
    """The parts, the kernels and the limit of one case."""
    views = []
    for title, rows in (("parts", case["parts"]), ("kernels, under torch.profiler", case["kernels"])):
        view = Table("ms per iteration", title=f"{name}: {title}", title_justify="left")
        view.add_column("ms", justify="right")
        view.add_column("share", justify="right")
        total = sum(rows.values())
        for row, ms in {**rows, "sum": total}.items():
            view.add_row(row, f"{ms:.2f}", f"{ms / total:.0%}")
        views.append(view)
    ms, adam, arithmetic = case["milliseconds"], case["adam"]["bytes"], case["matmuls"]
    view = Table("limit", "", title=f"{name}: limits", title_justify="left")
    for loop in ("ours", "watched", "profiled", "hand_tuned", "matmuls"):
        view.add_row(loop, f"{ms[loop]:.2f} ms")
    view.add_row("matmuls", f"{arithmetic['flop'] / 1e9:.2f} GFLOP at {arithmetic['gflop_per_second']:.0f} GFLOP/s")
    view.add_row("matmuls / ours", f"{case['share_of_limit']:.0%}")
    view.add_row(
        "Adam's traffic", f"{adam / 1e6:.0f} MB: {1000 * adam / bandwidth:.2f} ms at {bandwidth / 1e9:.0f} GB/s"
    )
    return [*views, view]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = blocks.parser("Say where the time of a training step goes.", rounds=3, iterations=200)
    parser.add_argument("--case", nargs="+", default=list(CASES), choices=list(CASES))
    options = blocks.parse(parser, arguments)

    run.quiet()
    data, console = MNIST(), Console()
    bandwidth = copy_bandwidth(*((16, 2) if options.tiny else (512, 10)))
    cases = {}
    for name in options.case:
        settings, batch_size = CASES[name]
        work = Work(data, batch_size, options.warmup, options.iterations, settings=settings)
        cases[name] = measure(work, options.rounds)
        console.print(*tables(name, cases[name], bandwidth))
    results = {
        "cases": cases,
        "copy_bytes_per_second": bandwidth,
        "unit": "milliseconds per iteration: one update of D and one of G",
        "method": f"medians of {options.rounds} blocks of {options.iterations} iterations; parts: one watched block",
    }
    return blocks.keep(results, options.out)


if __name__ == "__main__":
    main()
