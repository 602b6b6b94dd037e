"""A population against its members one after another, of which benchmark.py reports both.

    ring8        the ring of eight Gaussians, both networks three layers of 64, batch 64
    ring8_w128   the same with layers of 128; likewise w256 and w512
    mnist        the default recipe: G 64-512-512-512-784, D 784-512-512-1, batch 128

All members are runs with everything that a run does but W&B and metrics: record, statistics, saturation, grids,
checkpoints, the average of G; with engine=auto. The clock is that of their records, between the rows of two
iterations; start and end stay out. Where members are split among several processes, as a population would be, these
start at the same time, and what is timed is the middle third of what they do, when all of them are at work.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

from blocks import begin, temporary_folder
from lightning.pytorch import Callback

from ganduel.factory.networks import build_networks
from ganduel.factory.part import build
from ganduel.population.processes import number_of_params, number_of_processes, split_evenly, start
from ganduel.population.trainer import MemberSpec, train_members
from ganduel.run import run
from ganduel.tracking.files import METRICS, rows
from ganduel.tracking.run_logger import write_config


def ring8(width: int) -> list[str]:
    """The words for networks of that width."""
    hidden = [f"model.{network}.hidden=[{width},{width},{width}]" for network in ("generator", "discriminator")]
    return ["data=ring8", "model.generator.noise_dim=2", *hidden, "batch_size=64"]


SETTINGS = {"ring8": ring8(64), **{f"ring8_w{width}": ring8(width) for width in (128, 256, 512)}, "mnist": []}

EACH_BATCH = "+callback.each_batch._target_=population_loops.EachBatch"


class EachBatch(Callback):
    """A user callback that does nothing, in each batch: blocks are then single iterations."""

    def on_train_batch_end(self, *_: Any) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Population:
    """What is timed.

    Attributes:
        task: one of SETTINGS.
        members: how many.
        warmup: iterations before the timed ones.
        iterations: the timed ones.
        device: cpu or cuda.
        rest: iterations after them.
    """

    task: str
    members: int
    warmup: int
    iterations: int
    device: str = "cpu"
    rest: int = 1

    @property
    def every(self) -> int:
        """Iterations between two rows: as a run has them, or the least that may be timed."""
        return min(50, self.iterations)

    @property
    def start(self) -> int:
        """The first row after the warm-up."""
        return -(-self.warmup // self.every) * self.every

    def config(self, folder: Path, seed: int, words: Sequence[str]) -> dict[str, Any]:
        """The config of a run that begins in the folder."""
        end = self.start + self.iterations
        overrides = [
            *SETTINGS[self.task],
            "callback=[statistics,saturation,sample_grid]",
            "tracking=none",
            f"trainer.max_steps={end + self.rest}",
            f"log_every={self.every}",
            f"seed={seed}",
            *words,
        ]
        folder.mkdir()
        return begin(folder, overrides, self.device)

    def milliseconds(self, folder: Path) -> float:
        """Of one iteration, by the record of the run in the folder."""
        at = {row["iteration"]: row["seconds"] for row in rows(folder / METRICS) if "seconds" in row}
        return 1000 * (at[self.start + self.iterations] - at[self.start]) / self.iterations

    def together(self, words: Sequence[str] = ()) -> float:
        """Milliseconds of one iteration of all members, with these words more on the command line."""
        with temporary_folder() as top:
            (top / "shape").mkdir()
            values = self.config(top / "shape" / "0", 0, words)
            weights = number_of_params(*build_networks(values, build(values["data"]).shape))
            processes = number_of_processes("auto", values["trainer"], self.members, weights)
            work = replace(self, warmup=self.warmup + self.iterations, rest=self.iterations) if processes > 1 else self
            folders = [top / str(seed) for seed in range(self.members)]
            specs = [MemberSpec(f.name, work.config(f, seed, words), f) for seed, f in enumerate(folders)]
            parts = split_evenly(specs, processes)
            if processes == 1:
                exit_on_signal(train_members(specs))
            else:
                work.train_apart(parts, values["trainer"])
            return fmean(work.milliseconds(part[-1].folder) for part in parts)

    def train_apart(self, parts: Sequence[Sequence[MemberSpec]], trainer: dict[str, Any]) -> None:
        """Train each part in a process of its own, all at the same time."""
        for spec in chain(*parts):
            write_config(spec.folder, spec.values)  # the processes read them
        running = [start(part, i, len(parts), trainer) for i, part in enumerate(parts)]
        codes = [process.wait() for process in running]
        if any(codes):
            raise RuntimeError(f"a process of the population has ended with {max(codes)}")

    def alone(self, words: Sequence[str] = ()) -> float:
        """Milliseconds of one iteration of one of them, likewise."""
        with temporary_folder() as top:
            folder = top / "0"
            run.fit(self.config(folder, 0, words), folder)
            return self.milliseconds(folder)


def exit_on_signal(code: int | None) -> None:
    """A signal was meant for the script as a whole."""
    if code is not None:
        sys.exit(code)
