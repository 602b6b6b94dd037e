"""What a choice of loss, penalty, augmentation or condition costs per iteration, and how large the networks are.

    OMP_NUM_THREADS=1 python scripts/zoo_cost.py --out benchmarks/zoo_cpu.json        six minutes on one core

Each choice is named by the words that one types for it. All train the networks of DCGAN, of width 16 and without a
norm, on digits in minibatches of 64, in runs as benchmark.py has them; what is timed is `GAN.iterate`, in CPU time of
one thread. Other work on a machine only adds to such a time, so that the fastest of an iteration's repeats is reported:
of each of 16 consecutive ones, since a lazy penalty is not due in all, and their mean. Of networks it counts the
weights at the default size, and the operations (2 per product and sum) of one sample's forward pass.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from time import process_time
from typing import Any

import blocks
import torch
from benchmark import in_turn
from step_loops import SETTINGS, Work
from torch.utils.flop_counter import FlopCounterMode

from ganduel.data.mnist import MNIST
from ganduel.factory.networks import build_networks
from ganduel.run import run

NONE = "penalty=[]"
PERIOD = 16  # the largest `every` below
DCGAN = (
    *(words for words in SETTINGS if not words.startswith("model")),
    "model=dcgan",
    "model.generator.width=16",
    "model.discriminator.width=16",
    "model.generator.norm=none",  # as a penalty on a slope needs it
    "model.discriminator.norm=none",
)
SETS = (
    "penalty=[r1] penalty.r1.every=4",
    "penalty=[r1] penalty.r1.every=16",
    "penalty=[r1,r2]",
    "penalty=[r1,r2] penalty.r1.every=4 penalty.r2.every=4",
    "penalty=[consistency] penalty.consistency.fake=10",
    "pack=2",
    "unroll=5",
)
POINTS = {"affine": (2,), "dirac": (1,)}  # networks for points
SIDE_32 = {"sndcgan"}  # sides are multiples of 8


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (blocks.CONF / group).glob("*.yaml"))


def timed() -> list[str]:
    """The words of all that is timed; the first are the reference."""
    lists = [f"{group}=[{name}]" for group in ("penalty", "penalty_g") for name in choices(group)]
    single = [f"{group}={name}" for group in ("loss", "augment", "condition") for name in choices(group)]
    without = {"loss=nonsaturating", "augment=none", "condition=none"}  # the reference has these
    return [NONE, *lists, *SETS, *(words for words in single if words not in without)]


def iterations(work: Work, words: Sequence[str]) -> list[float]:
    """CPU milliseconds of each iteration after the warm-up, of a run with these words more on the command line."""
    times = list[float]()

    def timed(iterate: blocks.Iterate) -> blocks.Iterate:
        def call(t: int) -> Any:
            start = process_time()
            outputs = iterate(t)
            times.append(1000 * (process_time() - start))
            return outputs

        return call

    with blocks.temporary_folder() as folder, blocks.silence():
        blocks.fit(work.config(folder, words), folder, timed, work.data)
    return times[work.warmup : work.warmup + work.iterations]


def fastest(rounds: Sequence[Sequence[float]]) -> float:
    """The mean over PERIOD consecutive iterations, of each the fastest that there was."""
    periods = [row[i : i + PERIOD] for row in rounds for i in range(0, len(row), PERIOD)]
    return statistics.fmean(map(min, zip(*periods, strict=True)))


def measure(options: argparse.Namespace) -> dict[str, list[list[float]]]:
    """Milliseconds of every iteration of every choice, round by round."""
    plain = Work(MNIST(), options.batch, options.warmup, options.iterations, settings=DCGAN)
    labelled = replace(plain, data=MNIST())
    labelled.data.use_labels()
    times: dict[str, list[list[float]]] = {words: [] for words in timed()}
    for r in range(options.rounds):
        for words in in_turn(timed(), r):
            work = labelled if words.startswith("condition") else plain
            times[words].append(iterations(work, words.split()))
    return times


def size(name: str) -> dict[str, Any]:
    """Of the networks model=NAME by default: weights, and operations of a forward pass of one sample, of G and D."""
    side = 32 if name in SIDE_32 else 28
    shape = POINTS.get(name, (1, side, side))
    with blocks.temporary_folder() as folder:
        generator, discriminator = build_networks(blocks.begin(folder, [f"model={name}"], "cpu"), shape)
    generator.eval()
    counts = []
    for network, x in ((generator, torch.zeros(1, generator.noise_dim)), (discriminator, torch.zeros(1, *shape))):
        with FlopCounterMode(display=False) as counter:
            network.eval()(x)
        counts.append(counter.get_total_flops())
    weights = [sum(p.numel() for p in network.parameters()) for network in (generator, discriminator)]
    return {"shape": shape, "weights": weights, "operations": counts}


def report(times: dict[str, list[list[float]]], options: argparse.Namespace) -> dict[str, Any]:
    """The results and how they were measured, in plain values."""
    milliseconds = {words: fastest(rounds) for words, rounds in times.items()}
    return {
        "step": milliseconds,
        "ratio": {words: value / milliseconds[NONE] for words, value in milliseconds.items()},
        "median": {words: [statistics.median(row) for row in rounds] for words, rounds in times.items()},
        "networks": {name: size(name) for name in choices("model")},
        "unit": "milliseconds of CPU time per iteration, one update of D and one of G; operations per sample",
        "method": f"{options.rounds} alternating blocks of {options.iterations} iterations after {options.warmup} of "
        f"warm-up; step: the mean over {PERIOD} consecutive iterations, of each the fastest in all blocks; ratio: to "
        f"{NONE}; median: of each block; {' '.join(DCGAN)} batch_size={options.batch}",
    }


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = blocks.parser("Time what the choices of a run cost.", rounds=5, iterations=2 * PERIOD)
    parser.add_argument("--batch", type=int, default=64, help="batch size")
    return blocks.parse(parser, arguments)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    options = parse(arguments)
    run.quiet()
    results = report(measure(options), options)
    for words, ratio in results["ratio"].items():
        print(f"{results['step'][words]:8.2f} ms {ratio:6.2f}  {words}")
    return blocks.keep(results, options.out)


if __name__ == "__main__":
    main()
