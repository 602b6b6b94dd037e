"""What an iteration costs here, against other training loops with the same networks, data and batch.

    python scripts/benchmark.py --rounds 3 --out benchmarks/step_cpu.json   batches 64 and 256; ten minutes on two cores
    python scripts/benchmark.py --batch --population ring8:32 mnist:5 --rounds 3 --out benchmarks/population_cpu.json

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
from blocks import silence
from population_loops import SETTINGS, Population
from published_loops import lightning_tutorial, pytorch_gan
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from step_loops import Block, Work, hand_graph, hand_tuned, ours, products

from ganduel.data.mnist import MNIST
from ganduel.run import run

BF16, GRAPH, COMPILED = "trainer.precision=bf16-mixed", "trainer.cuda_graph=true", "trainer.compile=true"
AUTOGRAD = "trainer.replay=false"
WORDS = {
    "ours": [],
    "ours_bf16": [BF16],
    "ours_autograd": [AUTOGRAD],
    "ours_graph": [GRAPH],
    "ours_graph_tf32": [GRAPH, "trainer.matmul_precision=high"],
    "ours_graph_bf16": [GRAPH, BF16],
    "ours_graph_compiled": [GRAPH, COMPILED],
    "ours_graph_bf16_compiled": [GRAPH, BF16, COMPILED],
}
CONTENDERS: dict[str, Callable[[Work], Block]] = {
    **{name: partial(ours, words=words) for name, words in WORDS.items()},
    **{loop.__name__: loop for loop in (hand_tuned, hand_graph, products, pytorch_gan, lightning_tutorial)},
}
SLOW = ("pytorch_gan", "lightning_tutorial")
REFERENCES = ("hand_tuned", "hand_graph", "products", "pytorch_gan")


def contenders(device: str) -> list[str]:
    """The names of those that a device can run."""
    others = ("ours_autograd",) if device != "cpu" else [name for name in CONTENDERS if "_graph" in name]
    return [name for name in CONTENDERS if name not in others]


def measure(work: Work, rounds: int) -> dict[str, list[float]]:
    """Milliseconds an iteration of every contender, round by round."""
    times: dict[str, list[float]] = {name: [] for name in contenders(work.device)}
    for r in range(rounds):
        names = list(times)
        names = names[r % len(names) :] + names[: r % len(names)]
        for name in names if r % 2 == 0 else reversed(names):
            torch.manual_seed(r)
            np.random.seed(r)  # noqa: NPY002 - pytorch_gan draws from it
            own = shortened(work) if name in SLOW and work.device != "cpu" else work
            with silence():
                block = CONTENDERS[name](own)
            times[name].append(1000 * block.seconds / own.iterations)
    return times


def shortened(work: Work) -> Work:
    """A fifth of the iterations; for loops that do the same in each, where ours takes a hundredth of their time."""
    return replace(work, iterations=max(1, work.iterations // 5))


def ratio(times: dict[str, list[float]], name: str, reference: str) -> float:
    """The median over the rounds of one contender's time in units of another's."""
    return statistics.median(a / b for a, b in zip(times[name], times[reference], strict=True))


def references(times: dict[str, list[float]]) -> list[str]:
    """Those that others are compared with, of what has been timed."""
    return [name for name in REFERENCES if name in times]


def table(batch_size: int, times: dict[str, list[float]]) -> Table:
    """The times at one batch size."""
    view = Table(title=f"batch {batch_size}", title_justify="left", box=SIMPLE)
    view.add_column("ms an iteration", no_wrap=True)
    for title in ("median", "least", "most", *(f"/ {reference.replace('_', ' ')}" for reference in references(times))):
        view.add_column(title, justify="right")
    for name, values in times.items():
        milliseconds = (statistics.median(values), min(values), max(values))
        ratios = (ratio(times, name, reference) for reference in references(times))
        view.add_row(name, *(f"{x:.2f}" for x in milliseconds), *(f"{x:.2f}" for x in ratios))
    return view


def measure_population(work: Population, rounds: int) -> dict[str, Any]:
    """Milliseconds of an iteration of all members together and of one alone, round by round, and what they come to."""
    ways: dict[str, Callable[[], float]] = {"together": work.together, "alone": work.alone}
    if work.device == "cpu":
        ways |= {f"{name}_autograd": partial(way, [AUTOGRAD]) for name, way in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for r in range(rounds):
        for name in list(ways)[:: 1 if r % 2 == 0 else -1]:
            with silence():
                times[name].append(ways[name]())
    return {
        "members": work.members,
        **{name: statistics.median(values) for name, values in times.items()},
        "ratio": statistics.median(
            work.members * b / a for a, b in zip(times["together"], times["alone"], strict=True)
        ),
        "rounds": times,
    }


def population_table(found: dict[str, dict[str, Any]]) -> Table:
    """What a population saves."""
    view = Table(title="populations", title_justify="left", box=SIMPLE)
    for title in ("", "ms an iteration of all", "of one alone", "members alone / together"):
        view.add_column(title, justify="left" if title == "" else "right")
    for name, values in found.items():
        view.add_row(name, *(f"{values[key]:.2f}" for key in ("together", "alone", "ratio")))
    return view


def report(
    times: dict[int, dict[str, list[float]]], populations: dict[str, dict[str, Any]], options: argparse.Namespace
) -> dict[str, Any]:
    """The results and how they were found, in plain values."""
    fewer = f" (a fifth of them for {' and '.join(SLOW)})" if options.device != "cpu" else ""
    return {
        "step": {str(n): {name: statistics.median(ms) for name, ms in rows.items()} for n, rows in times.items()},
        "ratio": {
            str(n): {name: {reference: ratio(rows, name, reference) for reference in references(rows)} for name in rows}
            for n, rows in times.items()
        },
        "rounds": {str(n): rows for n, rows in times.items()},
        "population": populations,
        "unit": "milliseconds an iteration: one update of D and one of G",
        "method": f"median over alternating blocks of {options.iterations} iterations after {options.warmup} of "
        f"warm-up on {options.device}{fewer}; ratio: median of the ratios within a round; ours includes its record, "
        "statistics, grids, checkpoints, the average of G and the checks; start and end of a run excluded; MNIST, "
        "G 100-128-256-512-1024-784 with BatchNorm, D 784-512-256-1, Adam 2e-4",
    }


def population(word: str) -> tuple[str, int]:
    """A task and a number of members, as in ring8:32."""
    task, _, members = word.partition(":")
    if task not in SETTINGS or not members.isdigit() or int(members) < 1:
        raise argparse.ArgumentTypeError(f"{word} is not one of {', '.join(SETTINGS)} and a number, such as ring8:32")
    return task, int(members)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    # 500 iterations hold one checkpoint, ten rows of statistics and one grid: about the share that a run has.
    parser = blocks.parser("Time ganduel's training loop against others.", rounds=7, iterations=500)
    parser.add_argument("--batch", type=int, nargs="*", default=[64, 256], help="batch sizes")
    parser.add_argument("--population", type=population, nargs="*", default=[], help="such as ring8:32, of 32 members")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = blocks.parse(parser, arguments)

    run.quiet()
    data, times, populations, console = MNIST(), {}, {}, Console()
    for task, members in options.population:
        work = Population(task, members, options.warmup, options.iterations, options.device)
        populations[f"{task}, {members} members"] = measure_population(work, options.rounds)
    if populations:
        console.print(population_table(populations))
    results = blocks.keep(report(times, populations, options), options.out)
    for batch_size in options.batch:
        work = Work(data, batch_size, options.warmup, options.iterations, options.device)
        times[batch_size] = measure(work, options.rounds)
        console.print(table(batch_size, times[batch_size]))
        results = blocks.keep(report(times, populations, options), options.out)
    return results


if __name__ == "__main__":
    main()
