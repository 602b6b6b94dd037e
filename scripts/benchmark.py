"""What an iteration costs here, against other training loops with the same networks, data and batch.

    python scripts/benchmark.py --rounds 5 --out benchmarks/step_cpu.json                ten minutes on two cores
    python scripts/benchmark.py --network dcgan --batch 64 --iterations 100 --out benchmarks/step_dcgan_cpu.json
    python scripts/benchmark.py --batch --population ring8:32 mnist:5 --rounds 3 --out benchmarks/population_cpu.json
    python scripts/benchmark.py --batch --engine compile --callback --out benchmarks/engine_cpu.json
    python scripts/benchmark.py --batch --memory 20000 --out benchmarks/memory_cpu.json        of a long run
    python scripts/benchmark.py --device cuda --batch 64 1024 --population ring8:32 --out benchmarks/step_gpu.json

The loops are those of step_loops.py, published_loops.py and population_loops.py. In each round every one of them does
one block, in an order that rotates and turns round, so that a machine that slows down slows all; what is reported is
the median over the rounds, of times and of ratios within a round.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import blocks
import numpy as np
import torch
from blocks import fallbacks, silence
from memory_loop import peak_memory
from population_loops import EACH_BATCH, SETTINGS, Population
from published_loops import lightning_tutorial, pytorch_gan
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from step_loops import NETWORKS, Block, Work, hand_channels_last, hand_graph, hand_tuned, matmuls, ours

from ganduel.data.mnist import MNIST
from ganduel.run import run

EAGER, COMPILE = "engine=eager", "engine=compile"
BF16, TF32 = "trainer.precision=bf16-mixed", "trainer.matmul_precision=high"
OURS = {
    "cpu": {"ours": [], "ours_bf16": [BF16]},
    "cuda": {
        "ours": [],
        "ours_tf32": [TF32],
        "ours_bf16": [BF16],
        "ours_eager": [EAGER],
        "ours_eager_bf16": [EAGER, BF16],
        "ours_compile": [COMPILE],
        "ours_compile_bf16": [COMPILE, BF16],
    },
}
SLOW = ("pytorch_gan", "lightning_tutorial")
REFERENCES = ("hand_tuned", "hand_graph", "matmuls", "pytorch_gan")


def contenders(device: str, network: str = "mlp") -> dict[str, Callable[[Work], Block]]:
    """Those that a device can run and that make sense for the networks, by name."""
    graph = [] if device == "cpu" else [hand_graph]
    if network == "mlp":
        written = [hand_tuned, *graph, matmuls, pytorch_gan, lightning_tutorial]
    else:
        written = [hand_tuned, hand_channels_last, *graph, pytorch_gan]
    return {
        **{name: partial(ours, words=words) for name, words in OURS[device].items()},
        **{loop.__name__: loop for loop in written},
    }


def measure(work: Work, rounds: int, network: str = "mlp") -> dict[str, list[float]]:
    """Milliseconds per iteration of every contender, round by round."""
    loops = contenders(work.device, network)
    times: dict[str, list[float]] = {name: [] for name in loops}
    for r in range(rounds):
        for name in in_turn(list(loops), r):
            torch.manual_seed(r)
            np.random.seed(r)  # noqa: NPY002 - pytorch_gan draws from it
            shorter = shortened(work) if name in SLOW and work.device != "cpu" else work
            with silence():
                block = loops[name](shorter)
            times[name].append(1000 * block.seconds / shorter.iterations)
    return times


def in_turn(names: list[str], r: int) -> list[str]:
    """The order of round r: it rotates, and every other one is reversed."""
    rotated = names[r % len(names) :] + names[: r % len(names)]
    return rotated[:: 1 if r % 2 == 0 else -1]


def shortened(work: Work) -> Work:
    """A fifth of the iterations; for loops that do the same in each, where ours takes a hundredth of their time."""
    return replace(work, iterations=max(1, work.iterations // 5))


def ratio(times: dict[str, list[float]], name: str, reference: str) -> float:
    """The median over the rounds of one contender's time in units of another's."""
    return statistics.median(a / b for a, b in zip(times[name], times[reference], strict=True))


def references(times: dict[str, list[float]]) -> list[str]:
    """Those that others are compared with, of what has been timed."""
    return [name for name in REFERENCES if name in times]


def table(title: str, times: dict[str, list[float]], compared_with: list[str]) -> Table:
    """Times, and their ratios to those of some."""
    view = Table(title=title, title_justify="left", box=SIMPLE)
    view.add_column("ms per iteration", no_wrap=True)
    for column in ("median", "min", "max", *(f"/ {reference.replace('_', ' ')}" for reference in compared_with)):
        view.add_column(column, justify="right")
    for name, values in times.items():
        milliseconds = (statistics.median(values), min(values), max(values))
        ratios = (ratio(times, name, reference) for reference in compared_with)
        view.add_row(name, *(f"{x:.2f}" for x in milliseconds), *(f"{x:.2f}" for x in ratios))
    return view


def measure_population(work: Population, rounds: int) -> dict[str, Any]:
    """Milliseconds of an iteration of all members together and of one alone, and how much faster together is."""
    times = alternating({"together": work.together, "alone": work.alone}, rounds)
    return {
        "members": work.members,
        **{name: statistics.median(values) for name, values in times.items()},
        "ratio": work.members * ratio(times, "alone", "together"),
        "rounds": times,
    }


def measure_engines(task: str, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds per iteration by each engine, or with a user callback in each batch, and ratios to engine=eager."""
    work = Population(task, 1, options.warmup, options.iterations, options.device)
    words = {name: [f"engine={name}"] for name in ("eager", *options.engine)}
    if options.callback:
        words["eager_user_callback"] = [EAGER, EACH_BATCH]
    times = alternating({name: partial(work.alone, more) for name, more in words.items()}, options.rounds)
    return {
        **{name: statistics.median(values) for name, values in times.items()},
        "ratio": {name: ratio(times, name, "eager") for name in times},
        "rounds": times,
    }


def alternating(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each returns, round by round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for r in range(rounds):
        for name in in_turn(list(ways), r):
            with silence():
                times[name].append(ways[name]())
    return times


def population_table(populations: dict[str, dict[str, Any]]) -> Table:
    """What a population saves."""
    view = Table(title="populations", title_justify="left", box=SIMPLE)
    for title in ("", "ms per iteration of all", "of one alone", "members alone / together"):
        view.add_column(title, justify="left" if title == "" else "right")
    for name, values in populations.items():
        view.add_row(name, *(f"{values[key]:.2f}" for key in ("together", "alone", "ratio")))
    return view


def report(results: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The results and how they were measured, in plain values."""
    fewer = f" (a fifth of them for {' and '.join(SLOW)})" if options.device != "cpu" else ""
    times: dict[int, dict[str, list[float]]] = results["step"]
    return {
        "step": {str(n): {name: statistics.median(ms) for name, ms in rows.items()} for n, rows in times.items()},
        "ratio": {
            str(n): {name: {reference: ratio(rows, name, reference) for reference in references(rows)} for name in rows}
            for n, rows in times.items()
        },
        "rounds": {str(n): rows for n, rows in times.items()},
        **{key: results[key] for key in ("population", "engine", "memory", "fallbacks")},
        "unit": "milliseconds per iteration: one update of D and one of G",
        "method": f"median over alternating blocks of {options.iterations} iterations after {options.warmup} of "
        f"warm-up on {options.device}{fewer}; ratio: median of the ratios within a round; ours includes its record, "
        "statistics, grids, checkpoints, the average of G and the checks; start and end of a run excluded; MNIST, "
        f"{NETWORKS[options.network][1]}, Adam 2e-4",
    }


def population(word: str) -> tuple[str, int]:
    """A task and a number of members, as in ring8:32."""
    task, _, members = word.partition(":")
    if task not in SETTINGS or not members.isdigit() or int(members) < 1:
        raise argparse.ArgumentTypeError(f"{word} is not one of {', '.join(SETTINGS)} and a number, such as ring8:32")
    return task, int(members)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    # 500 iterations hold one checkpoint, ten rows of statistics and one grid: about the share that a run has.
    parser = blocks.parser("Time ganduel's training loop against others.", rounds=7, iterations=500)
    parser.add_argument("--batch", type=int, nargs="*", default=[64, 256], help="batch sizes")
    parser.add_argument("--network", default="mlp", choices=list(NETWORKS), help="G and D of the step")
    parser.add_argument("--population", type=population, nargs="*", default=[], help="such as ring8:32, of 32 members")
    parser.add_argument("--engine", nargs="*", default=[], choices=["compile", "cuda_graph"], help="against eager")
    parser.add_argument("--callback", action="store_true", help="a user callback in each batch, against none")
    parser.add_argument("--task", nargs="+", default=["ring8", "mnist"], choices=list(SETTINGS), help="for these two")
    parser.add_argument("--memory", type=int, metavar="N", help="peak memory of a run of the ring of N iterations")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    return blocks.parse(parser, arguments)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    options = parse(arguments)
    run.quiet()
    with fallbacks() as lines:
        results = measure_all(options, lines)
    for line in lines:
        print(line)
    return results


def measure_all(options: argparse.Namespace, lines: list[str]) -> dict[str, Any]:
    """All that the options ask for; what engines say is in the results too."""
    console, results = Console(), dict[str, Any](step={}, population={}, engine={}, memory=None, fallbacks=lines)
    if options.memory is not None:  # first: the peak is the process's
        with silence():
            results["memory"] = peak_memory(options.memory, options.device)
        console.print(results["memory"])
    for task, members in options.population:
        work = Population(task, members, options.warmup, options.iterations, options.device)
        results["population"][f"{task}, {members} members"] = measure_population(work, options.rounds)
    if results["population"]:
        console.print(population_table(results["population"]))
    for task in options.task if options.engine or options.callback else ():
        results["engine"][task] = measure_engines(task, options)
        console.print(table(f"engines, {task}", results["engine"][task]["rounds"], ["eager"]))
    summary = blocks.keep(report(results, options), options.out)
    data = MNIST()
    for batch_size in options.batch:
        settings, _ = NETWORKS[options.network]
        work = Work(data, batch_size, options.warmup, options.iterations, options.device, settings)
        times = results["step"][batch_size] = measure(work, options.rounds, options.network)
        console.print(table(f"{options.network}, batch {batch_size}", times, references(times)))
        summary = blocks.keep(report(results, options), options.out)
    return summary


if __name__ == "__main__":
    main()
